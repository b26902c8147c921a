/*
 * Reads a clock without a pause. Its signal handler says "in" and does not return before it has read a byte.
 */
#include <signal.h>
#include <time.h>
#include <unistd.h>

static void handler(int signal)
{
	char byte;
	(void)signal;
	if (write(1, "in\n", 3) != 3 || read(0, &byte, 1) != 1)
		_exit(3);
}

int main(void)
{
	struct sigaction action = { .sa_handler = handler };
	struct timespec now;
	sigaction(SIGUSR1, &action, NULL);
	if (write(1, "ready\n", 6) != 6)
		return 2;
	for (;;)
		clock_gettime(CLOCK_MONOTONIC, &now);
}
