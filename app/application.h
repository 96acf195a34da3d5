/*
 * application: which application this process serves.
 */
#ifndef MR_APP_APPLICATION_H
#define MR_APP_APPLICATION_H

#include <stdbool.h>

#include "runtime/config.h"
#include "runtime/db.h"

struct mr_application;
struct mr_built;
struct mr_packed;

/* Refuses arguments that are not the folder of one application: prints so and returns false. */
bool mr_application_arguments(const char *command, int argc, char **argv);

/* A name instead of a folder: the application packed into the binary under it. NULL: it is a folder. */
const struct mr_packed *mr_application_packed(const char *folder);

/*
 * Loads the settings (mr_load_settings, app/settings.h), reads the application from the folder given as argument, otherwise from
 * MILLRACE_APP, otherwise from the binary, and makes it this process's application until the process ends. Meanwhile a process that
 * serves connects to its database (app/ahead.h). The problems of both are printed together. To be called once, before other
 * threads exist. False: the exit status is MR_EXIT_USAGE.
 */
bool mr_load_settings_of(struct mr_config *config, enum mr_role_of_process role, int argc, char **argv);

/*
 * The folder for a developer's command: the argument's, otherwise MILLRACE_APP, otherwise the working directory if it has a
 * millrace.yaml; "" is none of these. To be called after the environment is read.
 */
const char *mr_application_folder_here(int argc, char **argv);

/* As mr_load_settings_of, for that folder and without the settings. To be called after the environment is read. */
bool mr_application_use_here(int argc, char **argv);

/*
 * Reads the application of a folder as mr_load_settings_of does, without making it this process's: the caller destroys it. NULL:
 * every problem has been printed.
 */
struct mr_application *mr_application_try(const char *folder);

/*
 * Asks the database which statements of the application may answer a batch at once; the others run message by message. MR_OK: it has
 * said so of all. MR_NOT_FOUND: it lacks what some name. Otherwise it did not answer soon, or its migrations have not run; in both cases the log
 * tells, and it is to be asked again. `given`: a connection that is not used elsewhere, or NULL; it is closed, and NULL then.
 */
mr_status mr_application_settle(const struct mr_config *config, mr_db **given);

/* The same, while operations are in use: one attempt, of which the log says nothing. One thread at a time. */
mr_status mr_application_settle_late(const struct mr_config *config);

struct mr_app_variable;

/*
 * Calls `call` for each environment variable in the files of the application that a process would serve. If that application is
 * refused, its problems are printed, and the variables are still reported. To be called after the environment is read.
 */
void mr_application_variables(void (*call)(const struct mr_app_variable *variable, void *argument), void *argument);

/* This process's application as it was built; NULL: none. */
const struct mr_built *mr_application_built(void);

#endif
