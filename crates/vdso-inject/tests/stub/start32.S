// The same as an i386 program.

        .globl _start
_start:
        pushf
        or %ebx, %eax
        or %ecx, %eax
        or %edx, %eax
        or %esi, %eax
        or %edi, %eax
        or %ebp, %eax
        mov $1, %ebx
        jnz leave
        pop %eax
        mov $2, %ebx
        cmp $0x202, %eax
        jne leave
        mov $3, %ebx
        mov $TOKEN, %eax
        lea -16384(%esp), %esi
1:      cmp %eax, (%esi)
        je leave
        add $4, %esi
        cmp %esp, %esi
        jb 1b
        mov $3, %ebx
2:      mov $1, %ecx
        mov $55, %eax
        int $0x80
        test %eax, %eax
        mov $4, %eax
        jns open
        inc %ebx
        cmp $64, %ebx
        jb 2b
        push $0x0a646574
        push $0x72617473
        mov $1, %ebx
        mov %esp, %ecx
        mov $8, %edx
        mov $4, %eax
        int $0x80
        xor %ebx, %ebx
        jmp leave
open:   mov %eax, %ebx
leave:
        mov $1, %eax
        int $0x80
#ifdef FILLED
        .balign 4096, 0x90
#endif
        .section .note.GNU-stack, "", @progbits
