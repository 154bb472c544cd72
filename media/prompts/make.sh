#!/bin/sh
# Makes the sounds that come with Callhall: speech by espeak-ng, music by sox, both as 8000 Hz µ-law.
# -R and -D: no random numbers and no dither, so that the same tools always give the same bytes.
# Needs: espeak-ng, sox (Debian packages of those names). Run it from anywhere.
set -eu
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# say LANGUAGE VOICE SPEED NAME TEXT
say() {
	mkdir -p "$1"
	espeak-ng -v "$2" -s "$3" -w "$tmp/say.wav" "$5"
	sox -R -D "$tmp/say.wav" -r 8000 -c 1 -b 16 "$tmp/8k.wav" gain -6 highpass 200 norm -4
	# speech at the front and the back only has espeak's own silence around it: cut it, then leave 100 ms
	sox -R -D "$tmp/8k.wav" "$tmp/cut.wav" silence 1 0.01 0.3% reverse silence 1 0.01 0.3% reverse pad 0.1 0.1
	sox -R -D "$tmp/cut.wav" -e mu-law -b 8 "$1/$4.wav"
}

say en en-us 175 notice "Thank you for calling 3 1 1. This call is recorded."
say en en-us 165 wait "Please stay on the line. A person will answer as soon as one is free."
say en en-us 165 resume "We are sorry, you were cut off from your agent. You keep your place in line."
say es es-419 175 notice "Gracias por llamar al 3 1 1. Esta llamada se graba."
say es es-419 165 wait "Por favor, no cuelgue. Una persona le atenderá en cuanto esté libre."
say es es-419 165 resume "Lo sentimos, se cortó la llamada con su agente. Usted conserva su lugar en la fila."

# chord NUMBER HZ HZ HZ HZ: a broken chord of plucked, slowly fading notes over its own bass; 3 s long, silent at both
# ends, so that chords follow each other, and the last the first, without a click.
chord() {
	sox -R -D -n -r 8000 -c 1 -b 16 "$tmp/chord$1.wav" \
		synth 3 sine "$2" sine "$3" sine "$4" sine "$5" \
		delay 0 0.375 0.75 1.125 remix - fade q 0.15 3 0.9 gain -n -16
}

chord 1 130.81 261.63 329.63 392.00 # C
chord 2 110.00 261.63 329.63 440.00 # A minor
chord 3 174.61 261.63 349.23 440.00 # F
chord 4 196.00 246.94 293.66 392.00 # G
chord 5 130.81 329.63 392.00 523.25 # C, higher
chord 6 146.83 293.66 349.23 440.00 # D minor
chord 7 174.61 349.23 440.00 523.25 # F, higher
chord 8 196.00 293.66 392.00 493.88 # G, higher
sox -R -D "$tmp"/chord[1-8].wav "$tmp/hold.wav" lowpass 1800
sox -R -D "$tmp/hold.wav" -e mu-law -b 8 hold.wav
