module github.com/wick-ml/wick

go 1.26
