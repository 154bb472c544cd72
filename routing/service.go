package routing

type Service struct{ entries map[dialled]Destination }
