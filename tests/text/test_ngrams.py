from nlpcli.text.ngrams import char_ngrams, subwords, word_ngrams

SENTENCE = "我来到达观数据参观"
WORDS = ["我", "来到", "达观数据", "参观"]


def test_the_worked_examples_of_the_method() -> None:
    assert "/".join(char_ngrams(SENTENCE, 2)) == "我来/来到/到达/达观/观数/数据/据参/参观"
    assert "/".join(char_ngrams(SENTENCE, 3)) == "我来到/来到达/到达观/达观数/观数据/数据参/据参观"
    assert word_ngrams(WORDS, 2) == ["我/来到", "来到/达观数据", "达观数据/参观"]
    assert word_ngrams(WORDS, 3) == ["我/来到/达观数据", "来到/达观数据/参观"]
    assert subwords("matter", 3, 3) == ["<ma", "mat", "att", "tte", "ter", "er>"]


def test_short_inputs_have_no_ngrams() -> None:
    assert char_ngrams("a", 2) == []
    assert word_ngrams([], 1) == []
    assert subwords("a", 1, 1) == ["a"]
    assert subwords("a", 1, 9) == ["a", "<a", "a>", "<a>"]
