/*
 * application: which application this process serves.
 */
#ifndef MR_APP_APPLICATION_H
#define MR_APP_APPLICATION_H

#include <stdbool.h>

struct mr_application;

/* Refuses arguments that are not the folder of one application: prints so and returns false. */
bool mr_application_arguments(const char *command, int argc, char **argv);

/*
 * Reads the application of the folder that was given as an argument, or else that of MILLRACE_APP, and makes it this process's
 * until it ends; without either it stays the one that is built in. To be called once, with the environment read, before other
 * threads exist. False: every problem has been printed, and the exit status is MR_EXIT_USAGE.
 */
bool mr_application_use(int argc, char **argv);

/* What mr_application_use has read; NULL: it is the one that is built in. */
const struct mr_application *mr_application_used(void);

#endif
