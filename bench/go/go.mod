module majordomo/bench

go 1.24
