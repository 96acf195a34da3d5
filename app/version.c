#include "app/version.h"

#include <jansson.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* share/millrace beside the folder of the binary: right under every prefix, and never that of another installation. */
static bool find_bill(char *out, size_t room)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    if (len <= 0)
        return false;
    self[len] = '\0';
    slash = strrchr(self, '/');
    if (slash == NULL || slash - self < 4 || strncmp(slash - 4, "/bin", 4) != 0)
        return false;
    slash[-4] = '\0';
    return snprintf(out, room, "%s/share/millrace/sbom.json", self) < (int)room && access(out, R_OK) == 0;
}

/* The components of a CycloneDX document. */
static bool print_bill(const char *path)
{
    json_t *bill = json_load_file(path, 0, NULL);
    json_t *components = json_object_get(bill, "components");
    json_t *component;
    size_t i;

    json_array_foreach(components, i, component) {
        const char *name = json_string_value(json_object_get(component, "name"));
        const char *version = json_string_value(json_object_get(component, "version"));

        if (name != NULL && version != NULL)
            printf("%-28s %s\n", name, version);
    }
    if (json_array_size(components) > 0)
        printf("(packages in this installation, from %s)\n", path);
    i = json_array_size(components);
    json_decref(bill);
    return i > 0;
}

/* A library's file carries its version: libpq.so.5 is a link to libpq.so.5.15. */
static int print_library(struct dl_phdr_info *info, size_t size, void *argument)
{
    char path[PATH_MAX];

    (void)size;
    (void)argument;
    if (info->dlpi_name[0] == '/' && realpath(info->dlpi_name, path) != NULL)
        printf("%-28s %s\n", strrchr(path, '/') + 1, path);
    return 0;
}

void mr_print_version(bool verbose)
{
    char path[PATH_MAX];

    printf("millrace %s (%s)\n", MR_VERSION, MR_REVISION);
    if (!verbose || (find_bill(path, sizeof path) && print_bill(path)))
        return;
    dl_iterate_phdr(print_library, NULL);
    puts("(shared libraries that are loaded; there is no bill of materials beside this binary)");
}
