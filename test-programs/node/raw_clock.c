// The raw clock_gettime system call for clocks.js, through Node-API: Node has no system calls
// itself.

#define _GNU_SOURCE
#include <node_api.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../host_clock.h"

static napi_value raw_ns(napi_env env, napi_callback_info info) {
    size_t count = 1;
    napi_value argument, result;
    int32_t clock;
    struct timespec now;
    if (napi_get_cb_info(env, info, &count, &argument, NULL, NULL) != napi_ok
        || napi_get_value_int32(env, argument, &clock) != napi_ok
        || syscall(SYS_clock_gettime, (long)clock, &now, host_clock_mark()) != 0) {
        napi_throw_error(env, NULL, "the clock could not be read");
        return NULL;
    }
    napi_create_bigint_int64(env, now.tv_sec * 1000000000LL + now.tv_nsec, &result);
    return result;
}

NAPI_MODULE_INIT() {
    napi_value function;
    napi_create_function(env, "rawNs", NAPI_AUTO_LENGTH, raw_ns, NULL, &function);
    napi_set_named_property(env, exports, "rawNs", function);
    return exports;
}
