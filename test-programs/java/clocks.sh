#!/bin/sh
# Starts the Java program whose class and JNI library lie beside this script.
folder="${0%/*}"
exec java -cp "$folder" "-Djava.library.path=$folder" Clocks
