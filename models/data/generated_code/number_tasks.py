"""Tasks on whole numbers, as ``tasks`` reads them."""

from __future__ import annotations

SOURCE = """
def greatest_divisor(a: int, b: int) -> int:
    with guard:
        if a < 0 or b < 0:
            return 0
    while b != 0:
        rest = a % b
        a = b
        b = rest
    return a

def least_multiple(a: int, b: int) -> int:
    with guard:
        if a == 0 or b == 0:
            return 0
    x = a
    y = b
    while y != 0:
        rest = x % y
        x = y
        y = rest
    return a // x * b

def is_prime(n: int) -> bool:
    with guard:
        if n < 2:
            return False
    d = 2
    while d * d <= n:
        if n % d == 0:
            return False
        d += 1
    return True

def factorial(n: int) -> int:
    with guard:
        if n < 0 or n > 12:
            return -1
    product = 1
    for i in range(2, n + 1):
        product = product * i
    return product

def fibonacci(n: int) -> int:
    with guard:
        if n < 0 or n > 46:
            return -1
    a = 0
    b = 1
    for i in range(0, n):
        following = a + b
        a = b
        b = following
    return a

def digit_sum(n: int) -> int:
    with guard:
        if n < 0:
            n = -n
    total = 0
    while n != 0:
        total += n % 10
        n = n // 10
    return total

def reverse_digits(n: int) -> int:
    with guard:
        if n < 0 or n > 99999999:
            return -1
    turned = 0
    while n > 0:
        turned = turned * 10 + n % 10
        n = n // 10
    return turned

def power_of(base: int, exponent: int) -> int:
    with guard:
        if exponent < 0:
            return 0
    result = 1
    while exponent != 0:
        if exponent % 2 == 1:
            result = result * base
        base = base * base
        exponent = exponent // 2
    return result

def power_modulo(base: int, exponent: int, modulus: int) -> int:
    with guard:
        if modulus <= 0 or exponent < 0:
            return 0
    result = 1
    base = base % modulus
    while exponent > 0:
        if exponent & 1 == 1:
            result = result * base % modulus
        base = base * base % modulus
        exponent = exponent >> 1
    return result

def collatz_steps(n: int) -> int:
    with guard:
        if n < 1:
            return -1
    steps = 0
    while n != 1:
        if n % 2 == 0:
            n = n // 2
        else:
            n = 3 * n + 1
        steps += 1
    return steps

def bits_set(n: int) -> int:
    with guard:
        if n < 0:
            return -1
    count = 0
    while n != 0:
        count += n & 1
        n = n >> 1
    return count

def integer_root(n: int) -> int:
    with guard:
        if n < 0:
            return -1
    root = 0
    while (root + 1) * (root + 1) <= n:
        root += 1
    return root

def divisor_sum(n: int) -> int:
    with guard:
        if n <= 0:
            return 0
    total = 0
    for d in range(1, n):
        if n % d == 0:
            total += d
    return total
"""
