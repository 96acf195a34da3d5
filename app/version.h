/*
 * version: what this build is, and what it is made of.
 */
#ifndef MR_APP_VERSION_H
#define MR_APP_VERSION_H

#include <stdbool.h>

/*
 * Prints version and revision; with `verbose` also names and versions of what runs with it: the packages that the bill
 * of materials of an installation names, or, where there is none, the shared libraries that this process has loaded.
 */
void mr_print_version(bool verbose);

#endif
