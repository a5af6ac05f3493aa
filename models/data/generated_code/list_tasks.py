"""Tasks on lists of whole numbers, as ``tasks`` reads them."""

from __future__ import annotations

SOURCE = """
def sum_of_squares(xs: list) -> int:
    total = 0
    for i in range(0, upto(len(xs))):
        total += xs[i] * xs[i]
    return total

def largest(xs: list) -> int:
    with guard:
        if len(xs) == 0:
            return 0
    best = xs[0]
    for i in range(1, len(xs)):
        if xs[i] > best:
            best = xs[i]
    return best

def smallest_place(xs: list) -> int:
    with guard:
        if len(xs) == 0:
            return -1
    place = 0
    low = xs[0]
    for i in range(1, len(xs)):
        if xs[i] < low:
            low = xs[i]
            place = i
    return place

def average(xs: list) -> int:
    total = 0
    for i in range(0, len(xs)):
        total += xs[i]
    with guard:
        if len(xs) == 0:
            return 0
    return total // len(xs)

def count_even(xs: list) -> int:
    count = 0
    for i in range(0, upto(len(xs))):
        if xs[i] % 2 == 0:
            count += 1
    return count

def reverse_list(xs: list) -> None:
    left = 0
    right = upto(len(xs)) - 1
    while left < right:
        kept = xs[left]
        xs[left] = xs[right]
        xs[right] = kept
        left += 1
        right -= 1

def find_first(xs: list, wanted: int) -> int:
    for i in range(0, upto(len(xs))):
        if xs[i] == wanted:
            return i
    return -1

def binary_search(xs: list, wanted: int) -> int:
    low = 0
    high = upto(len(xs)) - 1
    while low <= high:
        middle = (low + high) // 2
        if xs[middle] == wanted:
            return middle
        if xs[middle] < wanted:
            low = middle + 1
        else:
            high = middle - 1
    return -1

def bubble_sort(xs: list) -> None:
    for i in range(0, len(xs)):
        for j in range(0, upto(len(xs)) - 1 - i):
            if xs[j] > xs[j + 1]:
                kept = xs[j]
                xs[j] = xs[j + 1]
                xs[j + 1] = kept

def insertion_sort(xs: list) -> None:
    for i in range(1, upto(len(xs))):
        value = xs[i]
        j = i - 1
        while j >= 0 and xs[j] > value:
            xs[j + 1] = xs[j]
            j -= 1
        xs[j + 1] = value

def dot_product(xs: list, ys: list) -> int:
    with guard:
        if len(xs) != len(ys):
            return 0
    total = 0
    for i in range(0, len(xs)):
        total += xs[i] * ys[i]
    return total

def copy_values(xs: list, ys: list) -> int:
    count = len(xs)
    with guard:
        if count > len(ys):
            count = len(ys)
    for i in range(0, count):
        ys[i] = xs[i]
    return count

def append_values(xs: list, ys: list, used: int) -> int:
    with guard:
        if used < 0 or used + len(xs) > len(ys):
            return -1
    for i in range(0, len(xs)):
        ys[used + i] = xs[i]
    return used + len(xs)

def count_equal(xs: list, wanted: int) -> int:
    count = 0
    for i in range(0, upto(len(xs))):
        if xs[i] == wanted:
            count += 1
    return count

def is_sorted(xs: list) -> bool:
    for i in range(1, upto(len(xs))):
        if xs[i - 1] > xs[i]:
            return False
    return True

def xor_checksum(xs: list) -> int:
    check = 255
    for i in range(0, upto(len(xs))):
        check = (check ^ xs[i]) & 255
    return check

def rolling_hash(xs: list) -> int:
    state = 5381
    for i in range(0, upto(len(xs))):
        state = (state * 33 + xs[i]) % 65521
    return state

def clamp_values(xs: list, low: int, high: int) -> None:
    for i in range(0, upto(len(xs))):
        if xs[i] < low:
            xs[i] = low
        if xs[i] > high:
            xs[i] = high

def prefix_sums(xs: list) -> None:
    for i in range(1, upto(len(xs))):
        xs[i] = xs[i] + xs[i - 1]

def rotate_left(xs: list) -> None:
    with guard:
        if len(xs) == 0:
            return
    first = xs[0]
    for i in range(1, len(xs)):
        xs[i - 1] = xs[i]
    xs[len(xs) - 1] = first

def second_largest(xs: list) -> int:
    with guard:
        if len(xs) < 2:
            return 0
    best = xs[0]
    second = xs[1]
    if second > best:
        best = xs[1]
        second = xs[0]
    for i in range(2, len(xs)):
        if xs[i] > best:
            second = best
            best = xs[i]
        else:
            if xs[i] > second:
                second = xs[i]
    return second

def count_inversions(xs: list) -> int:
    count = 0
    for i in range(0, len(xs)):
        for j in range(i + 1, upto(len(xs))):
            if xs[i] > xs[j]:
                count += 1
    return count

def longest_run(xs: list) -> int:
    best = 0
    run = 0
    for i in range(0, upto(len(xs))):
        if i > 0 and xs[i] == xs[i - 1]:
            run += 1
        else:
            run = 1
        if run > best:
            best = run
    return best

def polynomial(xs: list, at: int) -> int:
    value = 0
    i = upto(len(xs)) - 1
    while i >= 0:
        value = value * at + xs[i]
        i -= 1
    return value

def value_at(xs: list, place: int, otherwise: int) -> int:
    with guard:
        if place < 0 or place >= len(xs):
            return otherwise
    return xs[place]

def scaled_values(xs: list, times: int, divisor: int) -> None:
    with guard:
        if divisor == 0:
            return
    for i in range(0, len(xs)):
        xs[i] = xs[i] * times // divisor

def sum_of_window(xs: list, start: int, width: int) -> int:
    with guard:
        if start < 0 or start + width > len(xs):
            return 0
    total = 0
    for i in range(start, start + width):
        total += xs[i]
    return total
"""
