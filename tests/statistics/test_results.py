"""The page of measured coverage says what the tables hold, and what is missing."""

import results


def test_the_page_holds_the_range_of_every_cell(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "MEASURED", tmp_path)
    (tmp_path / "coverage-140.csv").write_text(
        "noise,n,worlds,target,coverage\nheavy,10,9,alpha,0.94\nheavy,10,9,beta,0.97\n"
        "heavy,25,9,alpha,0.5\nheavy,25,9,beta,0.5\n"
    )
    (tmp_path / "shared-exponent.csv").write_text("exponents,found different\nthe same,0.04\n")
    (tmp_path / "widths.csv").write_text(
        "interval,n,target,width\nours,10,alpha,1.5\nours,10,beta,1.75\nours,25,alpha,1.2\n"
    )
    page = results.page()
    assert "| | n 10 | n 25 |" in page
    assert "| median | 1.62 | 1.20 |" in page
    assert "| noise | n 10 | n 25 |" in page
    assert "| heavy | 94–97 % | 50 % |" in page
    assert "| the same | 4 % |" in page
    assert page.count("not measured") == len(results.PARTS) - 3
