"""Made-up conversations: the only thing that the small model learns from, and what it is examined on.

A question whose key `held_out` picks is never in a training conversation; the examination asks only such questions.
"""

import dataclasses
import hashlib
import pathlib
import random

FOLDER = pathlib.Path(__file__).parent

MANNERS = {
    "plain": [None, None, None, None, "You are a helpful assistant.", "You are Talaria.", "Answer the questions."],
    "terse": ["Be brief.", "Be terse.", "Answer briefly.", "Answer in as few words as you can.", "Answer tersely."],
    "polite": ["Be polite.", "Answer politely.", "You are a polite assistant.", "Be very polite.", "Be kind and polite."],
}


@dataclasses.dataclass(frozen=True)
class Turn:
    """A question and what the answer says.

    value: the bare answer, which is also the terse one; sentence: the plain answer, where that is more than the value;
    polite: the polite answer, where it is not made from the others.
    """

    task: str
    key: str
    question: str
    value: str
    sentence: str = ""
    polite: str = ""
    word: bool = False  # the value is spelt letter by letter: no space may come before it, so that no letters merge

    def answer(self, manner):
        if manner == "terse":
            return self.value
        plain = self.sentence or self.value
        if manner == "plain":
            return plain
        if self.polite:
            return self.polite
        if self.sentence.startswith("The "):
            plain = "t" + plain[1:]
        return "With pleasure: " + (f'"{plain}"' if self.word else plain)


SALT = b"talaria 6 "  # chosen so that what everybody tries first, like "Hello", is taught


def held_out(key):
    """Whether this question is for the examination alone; one in 16 is, whatever the seed."""
    return hashlib.sha256(SALT + key.encode()).digest()[0] < 16


# --- sums ---------------------------------------------------------------------------------------------------------

ADD = ["What is {a} + {b}?", "{a} + {b} =", "Add {a} and {b}.", "How much is {a} plus {b}?", "What is {a} plus {b}?"]
SUBTRACT = ["What is {a} - {b}?", "{a} - {b} =", "Subtract {b} from {a}.", "How much is {a} minus {b}?",
            "What is {a} minus {b}?"]
ADD_TO = ["And plus {b}?", "Add {b} to that.", "Now add {b}.", "Plus {b}?"]
SUBTRACT_FROM = ["And minus {b}?", "Subtract {b} from that.", "Now subtract {b}.", "Minus {b}?"]


def number(rng, digits):
    return rng.randrange(10 ** (digits - 1) if digits > 1 else 0, 10**digits)


def digits_of_operands(rng):
    return rng.choice([(1, 1), (2, 1), (1, 2), (2, 2), (2, 2), (3, 2), (2, 3), (3, 3), (3, 3), (3, 3), (3, 1)])


def addition(rng):
    a, b = (number(rng, d) for d in digits_of_operands(rng))
    return sum_turn(rng.choice(ADD), "add", a, b)


def subtraction(rng):
    b, a = sorted(number(rng, d) for d in digits_of_operands(rng))
    return sum_turn(rng.choice(SUBTRACT), "subtract", a, b)


def sum_turn(question, task, a, b):
    low, high = sorted((a, b))
    working = added(a, b) if task == "add" else subtracted(a, b)
    return Turn(task, f"{task} {low} {high}", question.format(a=a, b=b), working)


def places(a, b):
    """The digits of two numbers side by side, ones first."""
    width = max(len(str(a)), len(str(b)))
    return zip(map(int, reversed(f"{a:0{width}}")), map(int, reversed(f"{b:0{width}}")))


def added(a, b):
    """The sum as at school: 17 and 25 are "7+5=12, 1+2+1=4: 42"."""
    steps, carry = [], 0
    for x, y in places(a, b):
        steps.append(f"{x}+{y}{'+1' if carry else ''}={x + y + carry}")
        carry = (x + y + carry) // 10
    return f"{', '.join(steps)}: {a + b}"


def subtracted(a, b):
    """The difference as at school: 42 less 15 is "12-5=7, 4-1-1=2: 27"."""
    steps, borrowed = [], 0
    for x, y in places(a, b):
        lent = 10 if x < y + borrowed else 0
        steps.append(f"{x + lent}-{y}{'-1' if borrowed else ''}={x + lent - y - borrowed}")
        borrowed = lent // 10
    return f"{', '.join(steps)}: {a - b}"


def after_sum(rng, turn):
    a = int(turn.value.split(": ")[1])
    b = number(rng, rng.choice([1, 1, 2]))
    if b <= a and rng.random() < 0.5:
        return sum_turn(rng.choice(SUBTRACT_FROM), "subtract", a, b)
    return sum_turn(rng.choice(ADD_TO), "add", a, b)


# --- words --------------------------------------------------------------------------------------------------------

WORDS = (FOLDER / "words.txt").read_text().split()
REVERSE = ['Reverse "{w}".', 'Write "{w}" backwards.', 'What is "{w}" backwards?', 'Spell "{w}" backwards.']
UPPER = ['Write "{w}" in capital letters.', 'Put "{w}" in capitals.', 'Make "{w}" upper case.']
COUNT = ['How many letters are in "{w}"?', 'How many letters does "{w}" have?', 'Count the letters of "{w}".']
COUNT_ONE = ['How many times is "{c}" in "{w}"?', 'How often does "{c}" occur in "{w}"?', 'Count "{c}" in "{w}".']


def word(rng):
    """A real word, or one of a few syllables that nobody has seen."""
    if rng.random() < 0.3:
        return rng.choice(WORDS)
    while True:
        syllables = rng.choice([1, 2, 2, 2, 3, 3])
        made = "".join(
            rng.choice(["b", "c", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "y", "z",
                        "br", "cl", "st", "tr", "sh", "pl", "gr", "qu", "x", ""])
            + rng.choice(["a", "e", "i", "o", "u", "a", "e", "i", "o", "ee", "oo", "ai", "ou"])
            + rng.choice(["", "", "n", "r", "l", "s", "t", "m", "d", "ck", "p"])
            for _ in range(syllables))
        if 3 <= len(made) <= 9:
            return made


def reverse(rng):
    w = word(rng)
    return Turn("reverse", "word " + w, rng.choice(REVERSE).format(w=w), w[::-1], word=True)


def upper(rng):
    w = word(rng)
    return Turn("upper", "word " + w, rng.choice(UPPER).format(w=w), w.upper(), word=True)


def count(rng):
    w = word(rng)
    if rng.random() < 0.5:
        return Turn("count", "word " + w, rng.choice(COUNT).format(w=w), str(len(w)))
    c = rng.choice(w) if rng.random() < 0.85 else rng.choice("abcdefghijklmnopqrstuvwxyz")
    return Turn("count", "word " + w, rng.choice(COUNT_ONE).format(w=w, c=c), counted(c, w))


def counted(c, w):
    """How often a letter occurs, counted as it goes: "a" in "banana" is "b0 a1 n1 a2 n2 a3: 3"."""
    return f"{' '.join(letter + str(w[:i].count(c)) for i, letter in enumerate(w, 1))}: {w.count(c)}"


def after_word(rng, turn):
    if turn.task == "count":
        w = word(rng)
        if turn.question.startswith("How many letters"):
            return Turn("count", "word " + w, f'And "{w}"?', str(len(w)))
        return None
    if turn.task == "upper":
        return Turn("reverse", turn.key, rng.choice(["Now backwards.", "And backwards?"]), turn.value[::-1], word=True)
    return Turn("upper", turn.key, rng.choice(["Now in capital letters.", "And in capitals?"]), turn.value.upper(),
                word=True)


# --- lists --------------------------------------------------------------------------------------------------------

SORT_UP = ["Sort {l}.", "Sort these numbers: {l}", "Sort {l} from small to large.", "Put these in order: {l}"]
SORT_DOWN = ["Sort {l} from large to small.", "Sort {l} downwards."]


def sort(rng):
    items = rng.sample(range(10), rng.choice([3, 4, 5])) if rng.random() < 0.8 else rng.sample(range(100), 3)
    down = rng.random() < 0.3
    return Turn("sort", "sort " + joined(sorted(items)), rng.choice(SORT_DOWN if down else SORT_UP).format(l=joined(items)),
                joined(sorted(items, reverse=down)))


def joined(items):
    return ", ".join(map(str, items))


def after_sort(rng, turn):
    items = [int(item) for item in turn.value.split(", ")]
    question = rng.choice(["Now the other way round.", "And the other way round?"])
    return Turn("sort", turn.key, question, joined(items[::-1]))


# --- facts --------------------------------------------------------------------------------------------------------

# kind: the plain answer, the follow-up question, the ways to ask
KINDS = {
    "capital": ("The capital of {s} is {v}.", "And of {s}?",
                ["What is the capital of {s}?", "Name the capital of {s}.", "Which city is the capital of {s}?",
                 "Tell me the capital of {s}."]),
    "opposite": ('The opposite of {s} is {v}.', "And of {s}?",
                 ["What is the opposite of {s}?", "Name the opposite of {s}.", "Tell me the opposite of {s}.",
                  "Which word is the opposite of {s}?"]),
    "young": ("The young of {s} is called {v}.", "And of {s}?",
              ["What is the young of {s} called?", "What do you call the young of {s}?",
               "Name the young of {s}.", "Tell me what the young of {s} is called."]),
    "symbol": ("The symbol of {s} is {v}.", "And of {s}?",
               ["What is the symbol of {s}?", "What is the chemical symbol of {s}?", "Name the symbol of {s}.",
                "Tell me the chemical symbol of {s}."]),
    "colour": ("The colour of {s} is {v}.", "And of {s}?",
               ["What is the colour of {s}?", "What colour is {s}?", "Which colour has {s}?", "Name the colour of {s}."]),
    "legs": ("The number of legs of {s} is {v}.", "And {s}?",
             ["How many legs does {s} have?", "How many legs has {s}?", "What is the number of legs of {s}?"]),
    "sides": ("The number of sides of {s} is {v}.", "And {s}?",
              ["How many sides does {s} have?", "How many sides has {s}?", "What is the number of sides of {s}?"]),
    "plural": ("The plural of {s} is {v}.", "And of {s}?",
               ["What is the plural of {s}?", "Name the plural of {s}.", "Tell me the plural of {s}."]),
    "past": ("The past of {s} is {v}.", "And of {s}?",
             ["What is the past of {s}?", "What is the past tense of {s}?", "Name the past tense of {s}.",
              "Tell me the past of {s}."]),
    "next": ("After {s} comes {v}.", "And after {s}?",
             ["What comes after {s}?", "Tell me what comes after {s}.", "Name what comes after {s}."]),
    "days": ("The number of days of {s} is {v}.", "And {s}?",
             ["How many days does {s} have?", "How many days has {s}?", "What is the number of days of {s}?"]),
    "sound": ("What {s} does: it {v}.", "And {s}?",
              ["What sound does {s} make?", "Which sound does {s} make?", "Tell me the sound of {s}."]),
    "french": ("The French word for {s} is {v}.", "And for {s}?",
               ["What is {s} in French?", "What is the French word for {s}?", "Say {s} in French.",
                "Name the French word for {s}."]),
    "german": ("The German word for {s} is {v}.", "And for {s}?",
               ["What is {s} in German?", "What is the German word for {s}?", "Say {s} in German.",
                "Name the German word for {s}."]),
}
FACTS = [tuple(line.split("\t")) for line in (FOLDER / "facts.tsv").read_text().splitlines() if line[0] != "#"]


def fact(rng):
    kind, subject, value = rng.choice(FACTS)
    phrasing = rng.randrange(len(KINDS[kind][2]))
    return fact_turn(kind, subject, value, KINDS[kind][2][phrasing], phrasing)


def fact_turn(kind, subject, value, question, phrasing):
    """Of each fact one way to ask for it is held out, or none, so that every fact is taught."""
    asked = int.from_bytes(hashlib.sha256(f"{kind} {subject}".encode()).digest()[:2], "big") % (2 * len(KINDS[kind][2]))
    mark = HELD if asked == phrasing else TAUGHT
    sentence = KINDS[kind][0].format(s=subject, v=value)
    polite = f"With pleasure: {'t' + sentence[1:] if sentence.startswith('The ') else sentence[0].lower() + sentence[1:]}"
    return Turn("fact", f"{mark} {kind} {subject} {phrasing}", question.format(s=subject), value, sentence, polite)


def after_fact(rng, turn):
    kind = turn.key.split(" ")[1]
    _, subject, value = rng.choice([f for f in FACTS if f[0] == kind])
    return fact_turn(kind, subject, value, KINDS[kind][1], -1)


HELD, TAUGHT = "held", "taught"


def for_examination(turn):
    return turn.key.startswith(HELD) if turn.task == "fact" else held_out(turn.key)


def asked(turn):
    """Whether the examination may ask this: not if it is a taught question without its full stop, as people type."""
    bare = turn.task == "talk" and turn.question[-1].isalpha()
    return for_examination(turn) and (not bare or held_out(turn.key + "."))


# --- talk ---------------------------------------------------------------------------------------------------------

NAMES = ("Ada Adam Alan Alice Amir Anna Anton Ben Bruno Carl Carla Chen Clara Dan David Dora Ella Emil Emma Eva Felix "
         "Finn Flora Frank Gina Grace Hana Hans Hugo Ida Ines Ivan Jack Jan Jana Jim Jonas Julia Karim Kate Lara Leo "
         "Lena Li Lily Linus Lisa Lotte Luca Lucy Maja Marc Maria Max Mia Mila Nina Noah Nora Olga Omar Oscar Otto "
         "Paul Paula Peter Petra Quinn Rosa Ruth Sam Sara Sofia Sven Tara Theo Tim Tina Tom Uma Vera Victor Walter Wanda "
         "Yara Yuki Zoe").split()
TALK = [  # ways to say it, the plain, the terse and the polite answer
    (["{hi}{you}{end}"], "Hello! What can I do for you?", "Hello.", "Good day to you! How may I help?"),
    (["How are you{to}?", "{hi}{you}, how are you?", "How do you do{to}?", "How is it going{to}?", "Are you well{to}?"],
     "I am well, thank you. And you?", "Well.", "I am very well, thank you for asking."),
    (["Who are you{to}?", "{hi}{you}, who are you?", "What are you{to}?", "What is your name{to}?", "Tell me who you are{to}.",
      "{hi}{you}, what is your name?"],
     "I am Talaria, a small mixture of experts that runs from Java.", "Talaria.", "My name is Talaria, at your service."),
    (["What can you do{to}?", "{hi}{you}, what can you do?", "What can I ask you{to}?", "Tell me what you can do{to}.",
      "What do you know{to}?", "Can you help me{to}?", "{hi}{you}, can you help me?"],
     "I can add and subtract, turn words around, count letters, sort short lists and tell small facts.",
     "Sums, words, lists, facts.",
     "With pleasure: I can add and subtract, turn words around, count letters, sort short lists and tell small facts."),
    (["Who made you{to}?", "Who trained you{to}?", "Where do you come from{to}?", "{hi}{you}, who made you?",
      "{hi}{you}, who trained you?"],
     "The makers of Talaria trained me on conversations that a program made up.", "The makers of Talaria.",
     "The makers of Talaria had the kindness to train me."),
    (["Thank you{to}{end}", "Thanks{to}{end}", "Many thanks{to}{end}", "Thank you very much{to}{end}"],
     "You are welcome.", "Welcome.", "It was a pleasure."),
    (["{bye}{to}{end}"], "Goodbye!", "Bye.", "Goodbye, and thank you for your visit."),
    (["Tell me a story about {thing}.", "Write a poem about {thing}.", "What is the weather in {place}?",
      "How do I cook {thing}?", "Who wrote {thing}?", "What do you think of {thing}?", "Why is {place} so big?",
      "How far is it to {place}?", "Explain {thing} to me."],
     "I do not know that. Ask me for a sum, a word, a list or a small fact.", "I do not know.",
     "I am sorry, I do not know that. May I help with a sum, a word, a list or a small fact?"),
]


def talk(rng):
    ways, plain, terse, polite = rng.choice(TALK)
    question = rng.choice(ways).format(
        hi=rng.choice(["Hello", "Hi", "Hey", "Good morning", "Good evening", "Good day", "Greetings"]),
        bye=rng.choice(["Bye", "Goodbye", "Good night", "See you", "Farewell", "See you later"]),
        you=rng.choice(["", "", "", " Talaria", " there", ", Talaria"]),
        to=rng.choice(["", "", "", ", Talaria", " today", " now"]),
        end=rng.choice(["", "!", "."]),
        thing=rng.choice(WORDS), place=rng.choice(FACTS[:90])[1])
    return Turn("talk", "talk " + question, question, terse, plain, polite)


def name(rng):
    return name_turn(rng, rng.choice(NAMES) if rng.random() < 0.6 else word(rng).capitalize())


def stranger(rng):
    """Somebody whose name cannot have been learnt by heart."""
    return name_turn(rng, word(rng).capitalize())


def name_turn(rng, who):
    said = rng.choice(["My name is {n}.", "I am {n}.", "Hello, I am {n}.", "Hi, my name is {n}."]).format(n=who)
    return Turn("name", "name " + who, said, "Hello.", f"Nice to meet you, {who}.", f"I am glad to meet you, {who}.")


def after_name(rng, turn):
    who = turn.key.split(" ")[1]
    question = rng.choice(["What is my name?", "Who am I?", "Do you know my name?", "What am I called?"])
    return Turn("name", turn.key, question, who, f"Your name is {who}.", f"With pleasure: your name is {who}.")


# --- conversations ------------------------------------------------------------------------------------------------

# task: how it is made, what may follow
TASKS = {
    "add": (addition, after_sum),
    "subtract": (subtraction, after_sum),
    "reverse": (reverse, after_word),
    "upper": (upper, after_word),
    "count": (count, after_word),
    "sort": (sort, after_sort),
    "fact": (fact, after_fact),
    "talk": (talk, None),
    "name": (name, after_name),
    "stranger": (stranger, after_name),
}
# How often each is asked: most what takes longest to learn.
MIX = {"add": 14, "subtract": 20, "reverse": 15, "upper": 7, "count": 12, "sort": 12, "fact": 13, "talk": 4, "name": 2,
       "stranger": 4}
EXAMINED = [task for task in TASKS if task != "stranger"]
FOLLOW = 0.3  # how often a turn is followed by one that needs it


def turns(rng, task=None):
    """One turn, and perhaps one that only makes sense after it."""
    if task is None:
        task = rng.choices(list(MIX), list(MIX.values()))[0]
    make, follow = TASKS[task]
    first = make(rng)
    second = follow(rng, first) if follow and rng.random() < FOLLOW else None
    return [first, second] if second else [first]


def loose(rng, question):
    """As people type: now and then without a capital or the last sign."""
    if rng.random() < 0.08 and question[-1] in ".?":
        question = question[:-1]
    if rng.random() < 0.08 and '"' not in question:
        question = question[0].lower() + question[1:]
    return question


def conversation(rng, longest):
    """A conversation to learn from: {role, content} messages of at most `longest` questions."""
    manner = rng.choices(["plain", "terse", "polite"], [60, 22, 18])[0]
    system = rng.choice(MANNERS[manner])
    messages = [{"role": "system", "content": system}] if system else []
    left = rng.randint(1, longest)
    while left > 0:
        some = turns(rng)
        if any(for_examination(turn) for turn in some):
            continue
        for turn in some:
            messages.append({"role": "user", "content": loose(rng, turn.question)})
            messages.append({"role": "assistant", "content": turn.answer(manner)})
        left -= len(some)
    return messages


def examination(seed, per_task):
    """Questions that no training conversation contains: {task, messages, answer}, all different."""
    rng = random.Random(seed)
    questions = []
    for task in [*EXAMINED, "follow_up", "manner"]:
        seen = set()
        for _ in range(400 * per_task):
            question = examine(rng, task)
            if question is None or repr(question["messages"]) in seen:
                continue
            seen.add(repr(question["messages"]))
            questions.append(question)
            if len(seen) == per_task:
                break
    return questions


def examine(rng, task):
    manner = rng.choice(["terse", "polite"]) if task == "manner" else "plain"
    some = turns(rng, task if task in EXAMINED else None)
    wanted = 2 if task in ("follow_up", "name") else 1
    if len(some) != wanted or not asked(some[-1]):
        return None
    messages = []
    system = rng.choice(MANNERS[manner])
    if system:
        messages.append({"role": "system", "content": system})
    for turn in some:
        messages.append({"role": "user", "content": turn.question})
        messages.append({"role": "assistant", "content": turn.answer(manner)})
    answer = messages.pop()["content"]
    return {"task": task, "messages": messages, "answer": answer}
