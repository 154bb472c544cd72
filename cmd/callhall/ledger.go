package main

type ledgerCmd struct{}
