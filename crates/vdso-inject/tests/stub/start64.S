// An x86-64 program without a C library that looks whether it starts as execve leaves it: exits with 1
// for a register that is not zero, 2 for other flags, 3 for the word TOKEN below the stack pointer, 4 for
// an open descriptor besides the standard streams; else says so and exits with 0. FILLED makes its code
// end where its last page does.

        .globl _start
_start:
        pushfq
        or %rbx, %rax
        or %rcx, %rax
        or %rdx, %rax
        or %rsi, %rax
        or %rdi, %rax
        or %rbp, %rax
        or %r8, %rax
        or %r9, %rax
        or %r10, %rax
        or %r11, %rax
        or %r12, %rax
        or %r13, %rax
        or %r14, %rax
        or %r15, %rax
        mov $1, %edi
        jnz leave
        pop %rax
        mov $2, %edi
        cmp $0x202, %rax
        jne leave
        mov $3, %edi
        mov $TOKEN, %eax
        lea -16384(%rsp), %rsi
1:      cmp %eax, (%rsi)
        je leave
        add $4, %rsi
        cmp %rsp, %rsi
        jb 1b
        mov $3, %ebx
2:      mov %ebx, %edi
        mov $1, %esi
        mov $72, %eax
        syscall
        mov $4, %edi
        test %eax, %eax
        jns leave
        inc %ebx
        cmp $64, %ebx
        jb 2b
        mov $1, %edi
        lea text(%rip), %rsi
        mov $8, %edx
        mov $1, %eax
        syscall
        xor %edi, %edi
leave:
        mov $60, %eax
        syscall
text:   .ascii "started\n"
#ifdef FILLED
        .balign 4096, 0x90
#endif
        .section .note.GNU-stack, "", @progbits
