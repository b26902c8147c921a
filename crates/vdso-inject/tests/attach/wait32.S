/* A program of 32 bits without a C library: waits for signals. */
	.globl _start
_start:
	movl $29, %eax		/* pause */
	int $0x80
	jmp _start
	.section .note.GNU-stack,"",@progbits
