"""From evidence to a program that hangs the same way.

bundle, dumps -> plan (what each rank called, where it stands) -> fold, shrink -> program -> run, attach, compare
"""
