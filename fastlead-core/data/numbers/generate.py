"""Makes the numbering plans and the answers that the tests compare them with, both from Google's libphonenumber.

    python3 -m venv /tmp/numbers && /tmp/numbers/bin/pip install phonenumbers
    /tmp/numbers/bin/python fastlead-core/data/numbers/generate.py

Writes beside itself:

plans.bin   The automaton of all valid numbers: E.164 digits lead to the region that the number belongs to.
            Little-endian u16 unless stated otherwise:
              "FLNP", states S, targets T, root state, regions R
              R regions, 2 letters each
              S masks: bit d is set where digit d leads elsewhere than digit d - 1 (digit -1 leads nowhere)
              S offsets of a state's first target
              T targets; 65535 leads nowhere
              S labels, one byte each: 0 refuses, n is region n - 1
trunk.txt   How people of each country write a national number behind their country code: the digits that are dropped.
oracle.txt  Texts with Google's answer to each: text, E.164 digits or nothing, region or nothing. 001 is no country.

Both libphonenumber and its Python port are under the Apache licence 2.0.
"""

import pathlib
import random
import re._parser as sre
import struct
import sys

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberFormat

HERE = pathlib.Path(__file__).parent
ALL = 0x3FF
NOWHERE = 0xFFFF
MAX_NATIONAL = 17
KINDS = [
    "fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost",
    "personal_number", "voip", "pager", "uan", "voicemail",
]
CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
VERSION = phonenumbers.__version__


def metadata(code, region):
    if region == "001":
        return PhoneMetadata.metadata_for_nongeo_region(code, None)
    return PhoneMetadata.metadata_for_region(region, None)


def kinds_of(plan):
    for kind in KINDS:
        described = getattr(plan, kind)
        if described is not None and described.national_number_pattern is not None:
            yield kind, described


def digit_mask(items):
    mask = 0
    for op, value in items:
        match str(op):
            case "LITERAL":
                mask |= 1 << (value - 48)
            case "RANGE":
                for digit in range(value[0], value[1] + 1):
                    mask |= 1 << (digit - 48)
            case "CATEGORY":
                mask |= ALL
            case other:
                raise ValueError(other)
    return mask


class Nfa:
    """A nondeterministic automaton over digits, built from Google's regular expressions."""

    def __init__(self):
        self.empty, self.steps, self.tags = [], [], []

    def state(self):
        self.empty.append([])
        self.steps.append([])
        self.tags.append(None)
        return len(self.steps) - 1

    def add(self, start, pattern, tag, any_tail=False):
        first = self.state()
        self.empty[start].append(first)
        last = self.build(sre.parse(pattern), first)
        self.tags[last] = tag
        if any_tail:
            self.steps[last].append((ALL, last))

    def build(self, items, at):
        for op, value in items:
            match str(op):
                case "LITERAL":
                    at = self.step(at, 1 << (value - 48))
                case "IN":
                    at = self.step(at, digit_mask(value))
                case "BRANCH":
                    end = self.state()
                    for branch in value[1]:
                        first = self.state()
                        self.empty[at].append(first)
                        self.empty[self.build(branch, first)].append(end)
                    at = end
                case "SUBPATTERN":
                    at = self.build(value[3], at)
                case "MAX_REPEAT":
                    least, most, inner = value
                    for _ in range(least):
                        at = self.build(inner, at)
                    end = self.state()
                    self.empty[at].append(end)
                    for _ in range(int(most) - least):
                        at = self.build(inner, at)
                        self.empty[at].append(end)
                    at = end
                case other:
                    raise ValueError(other)
        return at

    def step(self, at, mask):
        end = self.state()
        self.steps[at].append((mask, end))
        return end

    def closure(self, states):
        todo, seen = list(states), set(states)
        while todo:
            for following in self.empty[todo.pop()]:
                if following not in seen:
                    seen.add(following)
                    todo.append(following)
        return frozenset(state for state in seen if self.steps[state] or self.tags[state])


class Automaton:
    """The smallest automaton without cycles: equal states are one."""

    def __init__(self):
        self.ids, self.states = {}, []

    def state(self, region, ways):
        if region is None and all(way is None for way in ways):
            return None
        key = (region, tuple(ways))
        if key not in self.ids:
            self.ids[key] = len(self.states)
            self.states.append(key)
        return self.ids[key]

    def country(self, code):
        """The state behind a country code. Its regions are asked in Google's order: region_code_for_number()."""
        nfa = Nfa()
        start = nfa.state()
        regions = []
        for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]:
            plan = metadata(code, region)
            every = set(plan.general_desc.possible_length)
            nfa.add(start, plan.general_desc.national_number_pattern, (region, "every"))
            lengths = {}
            for kind, described in kinds_of(plan):
                nfa.add(start, described.national_number_pattern, (region, kind))
                lengths[kind] = set(described.possible_length) or every
            if plan.leading_digits:
                nfa.add(start, plan.leading_digits, (region, "leading"), any_tail=True)
            regions.append((region, every, lengths, bool(plan.leading_digits)))

        def region_of(states, length):
            tags = {nfa.tags[state] for state in states if nfa.tags[state]}
            for region, every, lengths, by_leading in regions:
                valid = (region, "every") in tags and length in every
                valid = valid and any((region, kind) in tags and length in lengths[kind] for kind in lengths)
                if len(regions) > 1 and by_leading:
                    if (region, "leading") in tags:
                        return region if valid else None
                elif valid:
                    return region
            return None

        known = {}

        def follow(states, length):
            key = (states, length)
            if key not in known:
                ways = [None] * 10
                for digit in range(10) if length < MAX_NATIONAL else ():
                    next_states = [to for state in states for mask, to in nfa.steps[state] if mask >> digit & 1]
                    if next_states:
                        ways[digit] = follow(nfa.closure(next_states), length + 1)
                known[key] = self.state(region_of(states, length), ways)
            return known[key]

        return follow(nfa.closure([start]), 0)

    def world(self):
        ways = {str(code): self.country(code) for code in CODES}

        def prefix(done):
            if done in ways:
                return ways[done]
            if not any(code.startswith(done) for code in ways):
                return None
            return self.state(None, [prefix(done + str(digit)) for digit in range(10)])

        return prefix("")


def write_plans():
    automaton = Automaton()
    root = automaton.world()
    names = sorted({region for region, _ in automaton.states if region} - {"001"})
    labels = {None: 0, "001": len(names) + 1} | {name: index + 1 for index, name in enumerate(names)}
    masks, offsets, targets = [], [], []
    for _, ways in automaton.states:
        mask, before = 0, None
        offsets.append(len(targets))
        for digit, way in enumerate(ways):
            if way != before:
                mask |= 1 << digit
                targets.append(NOWHERE if way is None else way)
            before = way
        masks.append(mask)
    assert len(targets) < NOWHERE and len(automaton.states) < NOWHERE and len(names) < 255
    data = b"FLNP" + struct.pack("<4H", len(masks), len(targets), root, len(names))
    data += "".join(names).encode()
    for numbers in (masks, offsets, targets):
        data += struct.pack(f"<{len(numbers)}H", *numbers)
    data += bytes(labels[region] for region, _ in automaton.states)
    (HERE / "plans.bin").write_bytes(data)
    print(f"plans.bin: {len(masks)} states, {len(targets)} targets, {len(data)} bytes", file=sys.stderr)


def expand(items, wanted, groups=()):
    """All forms of a pattern in the order in which a backtracking matcher tries them."""
    items = list(items)
    if not items:
        yield ""
        return
    (op, value), rest = items[0], items[1:]
    match str(op):
        case "LITERAL":
            heads = [chr(value)]
        case "IN":
            mask = digit_mask(value)
            digits = "".join(str(digit) for digit in range(10) if mask >> digit & 1)
            heads = ["." if mask == ALL else f"[{digits}]" if len(digits) > 1 else digits]
        case "BRANCH":
            heads = [form for branch in value[1] for form in expand(branch, wanted)]
        case "SUBPATTERN":
            heads = list(expand(value[3], wanted))
            if value[0] == wanted:
                heads = [f"({form})" for form in heads]
        case "MAX_REPEAT":
            least, most, inner = value
            once = list(expand(inner, wanted))
            heads = []
            for times in range(int(most), least - 1, -1):
                forms = [""]
                for _ in range(times):
                    forms = [form + more for form in forms for more in once]
                heads += forms
        case "AT":
            heads = ["$"]
        case other:
            raise ValueError(other)
    tails = list(expand(rest, wanted))
    for head in heads:
        for tail in tails:
            yield head + tail


def write_trunk():
    lines = [
        f"# Made by generate.py from libphonenumber {VERSION}. Country code, what stands for the digits that a form",
        "# matches (* is its group), then the forms. The first form that a national number begins with is replaced.",
    ]
    for code in CODES:
        plan = metadata(code, phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code][0])
        pattern = plan.national_prefix_for_parsing
        if not pattern:
            continue
        parsed = sre.parse(pattern)
        rule, last = plan.national_prefix_transform_rule, parsed.state.groups - 1
        by = "-"
        if rule:
            assert rule.count("\\") == 1 and f"\\{last}" in rule, (code, rule)
            by = rule.replace(f"\\{last}", "*")
        forms = list(dict.fromkeys(form for form in expand(parsed, last if rule else 0) if form))
        lines.append(f"{code} {by} {' '.join(forms)}")
    (HERE / "trunk.txt").write_text("\n".join(lines) + "\n")


def answer(text):
    """Google's reading of a text as it is written in Russia.

    Except that a number which is valid with its country code stays as it is. Google's parser takes the 8 away from
    valid Belarusian numbers (+375 810 …), so that what it has formatted is no number any more when it is parsed.
    """
    if text.startswith("+375"):
        national = phonenumbers.normalize_digits_only(text)[3:]
        number = phonenumbers.PhoneNumber(country_code=375, national_number=int(national))
        if not national.startswith("0") and phonenumbers.is_valid_number(number):
            return f"375{national}\tBY"
    try:
        number = phonenumbers.parse(text, "RU")
    except phonenumbers.NumberParseException:
        return "\t"
    if not phonenumbers.is_valid_number(number):
        return "\t"
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return f"{e164[1:]}\t{phonenumbers.region_code_for_number(number)}"


def sample(chance, items):
    """A random text that matches a pattern."""
    text = ""
    for op, value in items:
        match str(op):
            case "LITERAL":
                text += chr(value)
            case "IN":
                mask = digit_mask(value)
                text += str(chance.choice([digit for digit in range(10) if mask >> digit & 1]))
            case "BRANCH":
                text += sample(chance, chance.choice(value[1]))
            case "SUBPATTERN":
                text += sample(chance, value[3])
            case "MAX_REPEAT":
                least, most, inner = value
                for _ in range(chance.randint(least, int(most))):
                    text += sample(chance, inner)
            case other:
                raise ValueError(other)
    return text


def spell(chance, code, national):
    """A number with its country code, in one of the usual spellings."""
    grouped, at = [], 0
    while at < len(national):
        size = chance.randint(1, 4)
        grouped.append(national[at:at + size])
        at += size
    plan = metadata(code, phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code][0])
    trunk = plan.national_prefix or "0"
    return chance.choice([
        f"+{code}{national}",
        f"+{code} {' '.join(grouped)}",
        f"+{code} {'-'.join(grouped)}",
        f"+{code} ({grouped[0]}) {' '.join(grouped[1:])}",
        f"+{code} ({trunk}){' '.join(grouped)}",
        f"+{code} {trunk}{national}",
        f"+{code}.{'.'.join(grouped)}",
        f"8~10 {code} {'-'.join(grouped)}",
        f"810{code}{national}",
        f"tel:+{code}-{'-'.join(grouped)}",
        f"{code}{national}",
    ])


def damage(chance, national):
    at = chance.randrange(len(national))
    return chance.choice([
        national[:at] + str(chance.randrange(10)) + national[at + 1:],
        national[:at] + national[at + 1:],
        national[:at] + str(chance.randrange(10)) + national[at:],
        str(chance.randrange(10)) + national[1:],
    ])


def write_oracle():
    chance = random.Random(20261129)
    texts = []
    for code in CODES:
        for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]:
            plan = metadata(code, region)
            for _, described in kinds_of(plan):
                pattern = sre.parse(described.national_number_pattern)
                national = [described.example_number] if described.example_number else []
                national += [sample(chance, pattern) for _ in range(3)]
                national += [damage(chance, number) for number in national]
                texts += [spell(chance, code, number) for number in national if number]
            example = phonenumbers.example_number(region) if region != "001" else None
            if example is not None:
                texts += [
                    phonenumbers.format_number(example, form)
                    for form in (PhoneNumberFormat.E164, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.RFC3966)
                ]
    for code in range(1000):
        for start in ("", "0000000", "0005", "030"):
            rest = start + "".join(str(chance.randrange(10)) for _ in range(7 - len(start)))
            texts.append(f"{code:03}{rest}")
    for _ in range(2000):
        length = chance.choice([5, 6, 7, 9, 10, 10, 10, 11, 11, 11, 12, 13, 14, 15])
        first = chance.choice(["", "", "+", "7", "8", "8", "+7", "+7 8"])
        texts.append(first + "".join(str(chance.randrange(10)) for _ in range(length)))
    lines = [f"{text}\t{answer(text)}" for text in dict.fromkeys(texts)]
    head = f"# Made by generate.py from libphonenumber {VERSION}: text, E.164 digits, region.\n"
    (HERE / "oracle.txt").write_text(head + "\n".join(lines) + "\n")
    valid = sum(not line.endswith("\t") for line in lines)
    print(f"oracle.txt: {len(lines)} texts, {valid} of them numbers", file=sys.stderr)


if __name__ == "__main__":
    write_plans()
    write_trunk()
    write_oracle()
