package main

type userCmd struct{}
