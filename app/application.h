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

/* A name in place of a folder: what is packed into the binary under it. NULL: it is a folder. */
const struct mr_packed *mr_application_packed(const char *folder);

/*
 * mr_load_settings (app/settings.h), connects to the database of a process that serves (app/ahead.h), and reads the application of the folder that was given as an argument, or else that of
 * MILLRACE_APP, and makes it this process's until it ends; without either it is the one that is packed into the binary. What is wrong with
 * either is printed at once. To be called once, before other threads exist. False: the exit status is MR_EXIT_USAGE.
 */
bool mr_load_settings_of(struct mr_config *config, enum mr_role_of_process role, int argc, char **argv);

/*
 * The folder that a command of whoever writes an application is for: the argument's, or else that of MILLRACE_APP, or else the one
 * here, if that has a millrace.yaml; "" is none of them. To be asked with the environment read.
 */
const char *mr_application_folder_here(int argc, char **argv);

/* As mr_load_settings_of, of that folder and without the settings. With the environment read. */
bool mr_application_use_here(int argc, char **argv);

/*
 * Reads the application of a folder just as mr_load_settings_of does, but makes it nobody's: the caller destroys it. NULL: every
 * problem has been printed.
 */
struct mr_application *mr_application_try(const char *folder);

/*
 * Asks the database, which has been migrated, which statements of the application may answer a batch at once. Before anything is
 * served; when the database is not there soon, all run message by message until the next start, and the log says so. `given`: a connection
 * that is not used elsewhere, or NULL; it is closed, and NULL then.
 */
void mr_application_settle(const struct mr_config *config, mr_db **given);

struct mr_app_variable;

/*
 * Calls `call` for each variable of the environment in the files of the application that a process would serve. When that application is
 * refused, its problems are printed, and the variables are told all the same. Call it with the environment read.
 */
void mr_application_variables(void (*call)(const struct mr_app_variable *variable, void *argument), void *argument);

/* What was built of this process's application; NULL: nothing. */
const struct mr_built *mr_application_built(void);

#endif
