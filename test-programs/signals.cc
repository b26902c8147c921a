// Throws out of a signal handler, and takes backtraces there: through the trampoline of the vDSO that
// AT_SYSINFO_EHDR names, where it has one. The kernel sends handlers to its own vDSO's trampoline, so the
// handlers' first instructions put the other's address where they return to.
// Prints `trampoline FROM backtraces COUNT thrown COUNT`; ends with 0 if all arrived.
// Built with -fnon-call-exceptions, as a store throws.

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>
#include <unwind.h>

extern "C" {
// Where the handlers return to; read by the assembly below.
std::uintptr_t return_to;
void on_fault();
void on_signal();
void handle_fault(int);
void handle_signal(int);
}

#if defined(__aarch64__)
#define TRAMPOLINE "__kernel_rt_sigreturn"
#define HANDLER(name, rest)                                                                        \
    asm(".text\n.globl " #name "\n" #name ":\nadrp x9, return_to\nldr x30, [x9, :lo12:return_to]\nb " #rest "\n")
#elif defined(__riscv)
#define TRAMPOLINE "__vdso_rt_sigreturn"
#define HANDLER(name, rest) asm(".text\n.globl " #name "\n" #name ":\nlla t0, return_to\nld ra, 0(t0)\ntail " #rest "\n")
#else
// Handlers return through the C library.
#define TRAMPOLINE ""
#define HANDLER(name, rest) asm(".text\n.globl " #name "\n" #name ":\njmp " #rest "\n")
#endif

HANDLER(on_fault, handle_fault);
HANDLER(on_signal, handle_signal);

namespace {

constexpr int kTimes = 100;

struct Fault {};

int backtraces = 0;

// The address of a function of the vDSO, zero if it has none of this name.
std::uintptr_t Find(const char* name) {
    const auto base = getauxval(AT_SYSINFO_EHDR);
    if (base == 0 || *name == 0)
        return 0;
    const auto* header = reinterpret_cast<const ElfW(Ehdr)*>(base);
    const auto* segments = reinterpret_cast<const ElfW(Phdr)*>(base + header->e_phoff);
    const ElfW(Sym)* symbols = nullptr;
    const char* names = nullptr;
    const ElfW(Word)* hash = nullptr;
    for (int i = 0; i < header->e_phnum; i++) {
        if (segments[i].p_type != PT_DYNAMIC)
            continue;
        for (const auto* it = reinterpret_cast<const ElfW(Dyn)*>(base + segments[i].p_vaddr);
             it->d_tag != DT_NULL; it++) {
            const auto address = base + it->d_un.d_ptr;
            if (it->d_tag == DT_SYMTAB)
                symbols = reinterpret_cast<const ElfW(Sym)*>(address);
            else if (it->d_tag == DT_STRTAB)
                names = reinterpret_cast<const char*>(address);
            else if (it->d_tag == DT_HASH)
                hash = reinterpret_cast<const ElfW(Word)*>(address);
        }
    }
    // The second word of the hash table is the number of symbols.
    for (ElfW(Word) i = 0; hash != nullptr && i < hash[1]; i++)
        if (std::strcmp(names + symbols[i].st_name, name) == 0)
            return base + symbols[i].st_value;
    return 0;
}

// Volatile, as the compiler would otherwise know that what it points to cannot be written to.
volatile int* volatile nowhere = nullptr;

__attribute__((noinline)) void Store() {
    *nowhere = 1;
}

}  // namespace

int main();

namespace {

struct Seen {
    bool trampoline;
    bool main;
};

_Unwind_Reason_Code Look(_Unwind_Context* frame, void* to) {
    auto* seen = static_cast<Seen*>(to);
    int is_before = 0;
    const auto ip = _Unwind_GetIPInfo(frame, &is_before);
    seen->trampoline |= return_to == 0 || ip == return_to;
    // The trampoline has to come first.
    if (seen->trampoline && ip != return_to) {
        void* at = reinterpret_cast<void*>(ip - (is_before ? 0 : 1));
        seen->main |= _Unwind_FindEnclosingFunction(at) == reinterpret_cast<void*>(&main);
    }
    // What is before main need not have rules, and is nobody's business here.
    return seen->main ? _URC_NORMAL_STOP : _URC_NO_REASON;
}

void Handle(int signal, void (*handler)()) {
    struct sigaction action = {};
    action.sa_handler = reinterpret_cast<void (*)(int)>(handler);
    // It is left by an exception, which does not unblock the signal.
    action.sa_flags = SA_NODEFER;
    sigaction(signal, &action, nullptr);
}

}  // namespace

extern "C" void handle_fault(int) {
    throw Fault();
}

extern "C" void handle_signal(int) {
    Seen seen = {};
    _Unwind_Backtrace(Look, &seen);
    backtraces += seen.trampoline && seen.main;
}

int main() {
    return_to = Find(TRAMPOLINE);
    Handle(SIGUSR1, on_signal);
    Handle(SIGSEGV, on_fault);
    for (int i = 0; i < kTimes; i++)
        raise(SIGUSR1);
    std::printf("trampoline %s backtraces %d ", return_to != 0 ? "vdso" : "libc", backtraces);
    // What comes now may end the program.
    std::fflush(stdout);
    int thrown = 0;
    for (int i = 0; i < kTimes; i++) {
        try {
            Store();
        } catch (const Fault&) {
            thrown++;
        }
    }
    std::printf("thrown %d\n", thrown);
    return thrown == kTimes && backtraces == kTimes ? 0 : 1;
}
