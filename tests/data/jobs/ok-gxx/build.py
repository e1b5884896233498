"""Builds the native part again and again, as an extension does at its first import."""
import subprocess, sys

SOURCE = """
#include <map>
#include <regex>
#include <string>
#include <vector>
template <int N> struct Deep { static std::map<std::string, std::vector<Deep<N - 1>>> table; std::regex r{"a+b"}; };
template <> struct Deep<0> {};
template <int N> int walk() { Deep<N> d; return std::regex_match("aab", d.r) + walk<N - 1>(); }
template <> int walk<0>() { return 0; }
int main() { return walk<250>(); }
"""


def compile_extension():
    open("deep.cc", "w").write(SOURCE)
    subprocess.check_call(["c++", "-O3", "-std=c++17", "-c", "deep.cc", "-o", "deep.o"])


print("building", flush=True)
while True:
    compile_extension()
