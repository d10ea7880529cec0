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
    (tmp_path / "prequential.csv").write_text(
        "decades,error,se_law,se_new,se_headline,reach,refused\n"
        "0.3,0.02,0.001,0.002,0.02,2,0\n0.4,-0.001,0.001,0.002,0.01,2,0\n2,0.5,1,1,1,2,1\n"
    )
    page = results.page()
    assert "| 0.25 to 0.5 | 2 | 50 % | 50 % | 100 % | 0.4 % | 3 % |" in page
    assert "and more |" not in page
    assert "| | n 10 | n 25 |" in page
    assert "| median | 1.62 | 1.20 |" in page
    assert "| noise | n 10 | n 25 |" in page
    assert "| heavy | 94–97 % | 50 % |" in page
    assert "| the same | 4 % |" in page
    assert page.count("not measured") == len(results.PARTS) - 4
