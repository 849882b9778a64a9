/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The agent: plays the entries of a tape and traps. It is copied into the target as it is (no relocation, no stack, no
 * memory but the tape) and holds no logic beyond "stop at the first result that is not as written".
 *
 *      rbx  entry to run next      r12  tape area (base of references)      r13  entries left
 *
 * An entry is 64 bytes (struct agent_entry, agent.h): nr, flags, refmask, errno_ok, six arguments, ret. An argument whose
 * bit in refmask is set is replaced by the eight bytes at that offset of the area, or, for an odd offset, by the sign-extended
 * four bytes at offset - 1. Before the call `ret` holds the wanted result.
 *
 * The trap is the same at the end and at an error: the engine tells them apart by r13. The stack is never touched: it
 * belongs to the program, and its red zone to whatever was interrupted. rcx and r11 die in each call.
 */
        .intel_syntax noprefix
        .set    agent_n, 0

        .macro  I insn:vararg
        .set    agent_n, agent_n + 1
        \insn
        .endm

#define ENTRY_SIZE 64
#define FLAGS 2
#define REFMASK 4
#define ERRNO_OK 6
#define ARGS 8
#define RET 56
#define MAY_FAIL 1
#define EXPECTED 2

        .section .rodata
        .globl  agent_code, agent_code_syscall, agent_code_trap, agent_code_end, agent_code_count
        .balign 16
agent_code:
next:   I test  r13, r13
        I jz    stop
        I movzx r14d, byte ptr [rbx + REFMASK]
        I mov   ecx, 6
resolve:
        I dec   ecx
        I js    call
        I bt    r14d, ecx
        I jnc   resolve
        I mov   rax, [rbx + ARGS + rcx * 8]
        I test  al, 1
        I jnz   half
        I mov   rax, [r12 + rax]
        I jmp   store
half:   I movsxd rax, dword ptr [r12 + rax - 1]
store:  I mov   [rbx + ARGS + rcx * 8], rax
        I jmp   resolve
call:   I mov   rdi, [rbx + ARGS]
        I mov   rsi, [rbx + ARGS + 8]
        I mov   rdx, [rbx + ARGS + 16]
        I mov   r10, [rbx + ARGS + 24]
        I mov   r8, [rbx + ARGS + 32]
        I mov   r9, [rbx + ARGS + 40]
        I movzx eax, word ptr [rbx]
agent_code_syscall:
        I syscall
        I mov   r14, [rbx + RET]
        I mov   [rbx + RET], rax
        I cmp   rax, -4095
        I jae   failed
        I test  byte ptr [rbx + FLAGS], EXPECTED
        I jz    good
        I cmp   rax, r14
        I jne   stop
good:   I add   rbx, ENTRY_SIZE
        I dec   r13
        I jmp   next
failed: I test  byte ptr [rbx + FLAGS], MAY_FAIL
        I jz    stop
        I movzx ecx, word ptr [rbx + ERRNO_OK]
        I jrcxz good
        I add   rax, rcx
        I jz    good
stop:
agent_code_trap:
        I int3
agent_code_end:
        .balign 4
agent_code_count:
        .long   agent_n
        .section .note.GNU-stack, "", @progbits
