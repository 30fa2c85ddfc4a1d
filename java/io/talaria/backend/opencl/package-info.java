/**
 * Devices of any maker through OpenCL 1.2 and JOCL. Kernels are {@code kernels/opencl}, compiled by the device's driver;
 * the only package that knows JOCL. docs/opencl-backend.md says how it works.
 */
package io.talaria.backend.opencl;
