//! Embedded files that are new must be noticed: the compiler only watches those that it knows.

fn main() {
    println!("cargo::rerun-if-changed=static");
}
