/**
 * The native backends: one small JNI library with all checks in it, and a shared library per backend behind it.
 *
 * <p>{@code Native} is generated from {@code native/include/talaria.h} when the project is built.
 */
package io.talaria.backend.jni;
