"""nftables against the real kernel, through the library and through a process: the same contract for both."""

from __future__ import annotations

import json
from contextlib import closing

from inside import in_lab, namespaces

from sdn.errors import KernelError, NotFoundError
from sdn.kernel.libnft import Nft

TABLE = "add table inet sdn; add set inet sdn s { type ipv4_addr; }; add chain inet sdn c_one"


def refused(nft: Nft, text: str) -> KernelError:
    try:
        nft.run(text)
    except KernelError as error:
        return error
    raise AssertionError(f"nft took {text!r}")


def contract(nft: Nft) -> None:
    nft.run(TABLE)
    assert "chain c_one" in nft.run("list ruleset")
    kinds = {kind for entry in json.loads(nft.run("list ruleset", json=True))["nftables"] for kind in entry}
    assert kinds == {"metainfo", "table", "set", "chain"}, kinds
    nft.run('add rule inet sdn c_one counter accept comment "ingress NetworkPolicy shop/web[0]"')
    assert "# handle" in nft.run("list ruleset", handles=True)
    assert "packets" not in nft.run("list ruleset", stateless=True)
    error = refused(nft, "add rule inet sdn c_two drop")
    assert isinstance(error, NotFoundError), error
    assert "c_two" in str(error), error
    error = refused(nft, "add chain inet sdn c_three\nadd rule inet sdn c_three nonsense")
    assert "syntax error" in str(error), error
    assert "c_three" not in nft.run("list ruleset"), "a failed line takes the whole text back"
    nft.run("flush ruleset")
    assert nft.run("list ruleset") == ""


@in_lab
def test_the_library() -> None:
    with namespaces("one", "two") as worker, closing(worker.run("one", Nft)) as nft:
        contract(nft)
        nft.run(TABLE)
        with closing(worker.run("two", Nft)) as other:
            assert other.run("list ruleset") == "", "each context has its own namespace"


@in_lab
def test_the_process_that_stands_in_for_it() -> None:
    with namespaces("one", "two") as worker, closing(worker.run("one", lambda: Nft(use_library=False))) as nft:
        contract(nft)
        nft.run(TABLE)
        with closing(worker.run("two", lambda: Nft(use_library=False))) as other:
            assert other.run("list ruleset") == "", "each context has its own namespace"


@in_lab
def test_what_is_too_long_for_one_transaction_goes_in_several() -> None:
    with namespaces("one") as worker, closing(worker.run("one", Nft)) as nft:
        nft.run(TABLE)
        texts = []
        for block in range(40):
            elements = ", ".join(f"10.{block}.{i // 250}.{i % 250}" for i in range(1000))
            texts.append(f"add element inet sdn s {{ {elements} }}")
        texts += [f"add chain inet sdn c_{i}" for i in range(2000)]
        nft.run_chunks(texts)
        listed = json.loads(nft.run("list ruleset", json=True))["nftables"]
        found = [len(entry["set"]["elem"]) for entry in listed if "set" in entry]
        assert found == [40_000], found
        assert sum("chain" in entry for entry in listed) == 2001
        nft.run_chunks([])


@in_lab
def test_two_contexts_work_at_the_same_time() -> None:
    rules = "\n".join(f"add rule inet sdn c_one tcp dport {port} counter accept" for port in range(1, 60))

    def work() -> int:
        with Nft() as nft:
            for _ in range(10):
                nft.run(f"{TABLE}\nflush chain inet sdn c_one\n{rules}")
                refused(nft, "add rule inet sdn c_two drop")
            return nft.run("list ruleset").count("dport")

    with namespaces("one") as first, namespaces("two") as second:
        counts = [first.submit("one", work), second.submit("two", work)]
        assert [count.result() for count in counts] == [59, 59]
