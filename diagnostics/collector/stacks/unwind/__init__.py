"""Native stacks of all threads, unwound after the target runs again.

The target is stopped only while its registers and the used part of its stacks are copied, some milliseconds. elfutils'
libdw then unwinds the copies with the call frame information of the libraries' files, and a symbol table is sorted
once for each library, whatever number of processes map it. (Tools that unwind while the target stands still spend most
of the pause, and of their time, looking names up one after the other in tables of several 100,000 symbols.)

The modules here need the standard library alone and run on CPython 3.6 and later, because they travel to other hosts.
x86-64 only.
"""
