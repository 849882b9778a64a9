/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The stub: a whole static ELF file in .rodata, which stub_open() puts into a memfd. It sleeps in pause and does nothing
 * else: it uses no stack, no library and no vdso, so that a tape may unmap all of it once the agent is in.
 *
 * Written by hand because it is one page that way: headers and text in one r-x segment at an address below those of
 * ordinary programs, no data, no bss (the heap's start is set by PR_SET_MM_MAP), a stack without execute permission.
 */
        .intel_syntax noprefix
#define BASE 0x10000

        .section .rodata
        .globl  stub_elf, stub_elf_end
        .balign 16
stub_elf:
        .byte   0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0
        .short  2, 62                           /* ET_EXEC, EM_X86_64 */
        .long   1
        .quad   BASE + (start - stub_elf)
        .quad   headers - stub_elf, 0
        .long   0
        .short  64, 56, 2, 64, 0, 0
headers:
        .long   1, 5                            /* PT_LOAD, r-x */
        .quad   0, BASE, BASE
        .quad   stub_elf_end - stub_elf, stub_elf_end - stub_elf, 4096
        .long   0x6474e551, 6                   /* PT_GNU_STACK, rw- */
        .quad   0, 0, 0, 0, 0, 16
start:
        mov     eax, 34                         /* pause */
        syscall
        jmp     start
stub_elf_end:
        .section .note.GNU-stack, "", @progbits
