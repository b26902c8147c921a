// A program whose first instruction is OFFSET bytes into a page, with nothing but 0xcc in front of
// it. It ends with 0 if that, and the page behind, are as they were built.

        .text
        .balign 4096
page:
        .fill OFFSET, 1, 0xcc
        .globl _start
_start:
        jmp check
        .balign 4096, 0xcc
check:
        lea page(%rip), %rdi
        mov $OFFSET, %ecx
        mov $0xcc, %eax
        // Equal, also where there is nothing to compare.
        cmp %eax, %eax
        repe scasb
        jne changed
        lea after(%rip), %rdi
        mov $4096, %ecx
        repe scasb
        jne changed
        xor %edi, %edi
        jmp leave
changed:
        mov $1, %edi
leave:
        mov $60, %eax
        syscall
        .balign 4096
after:
        .fill 4096, 1, 0xcc
        .section .note.GNU-stack, "", @progbits
