// The raw clock_gettime system call for Clocks.java, through JNI: Java has no system calls itself.

#define _GNU_SOURCE
#include <jni.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../host_clock.h"

JNIEXPORT jlong JNICALL Java_Clocks_rawNs(JNIEnv *env, jclass class, jint clock) {
    (void)env, (void)class;
    struct timespec now;
    if (syscall(SYS_clock_gettime, (long)clock, &now, host_clock_mark()) != 0)
        return -1;
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}
