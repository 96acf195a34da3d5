#include "proto/status.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int http;
    const char *detail;
} statuses[] = {
#define ST(name, http, detail) [MR_##name] = {#name, http, detail},
    MR_STATUSES(ST)
#undef ST
};

static const struct {
    const char *prefix;
    mr_status status;
    bool rerun;
} sqlstates[] = {
#define S(prefix, status, rerun) {prefix, MR_##status, rerun},
    MR_SQLSTATES(S)
#undef S
};

int mr_status_http(mr_status status)
{
    return statuses[status].http;
}

const char *mr_status_detail(mr_status status)
{
    return statuses[status].detail;
}

const char *mr_status_name(mr_status status)
{
    return statuses[status].name;
}

const char *mr_http_reason(int http)
{
    switch (http) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    default: return "Unknown";
    }
}

mr_status mr_status_from_http(int http)
{
    for (int status = MR_INVALID; status < MR_STATUS_COUNT; status++)
        if (statuses[status].http == http)
            return (mr_status)status;
    return MR_INTERNAL;
}

bool mr_status_can_be_raised(int http)
{
    switch (http) {
#define CASE(number) case number:
        MR_RAISABLE(CASE)
#undef CASE
        return true;
    default: return false;
    }
}

mr_status mr_status_raised(const char *sqlstate)
{
    int http = strncmp(sqlstate, "MR", 2) == 0 && strlen(sqlstate) == 5 ? (int)strtol(sqlstate + 2, NULL, 10) : 0;

    return mr_status_can_be_raised(http) ? mr_status_from_http(http) : MR_OK;
}

mr_status mr_status_from_sqlstate(const char *sqlstate, bool *rerun)
{
    size_t i = 0;

    while (strncmp(sqlstate, sqlstates[i].prefix, strlen(sqlstates[i].prefix)) != 0)
        i++;
    if (rerun != NULL)
        *rerun = sqlstates[i].rerun;
    return sqlstates[i].status;
}
