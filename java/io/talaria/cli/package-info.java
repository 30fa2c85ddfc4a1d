/** The command line. Commands parse, call and print; what they call is an API for applications too. */
package io.talaria.cli;
