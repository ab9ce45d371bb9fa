//! A new migration is part of the program: without this line cargo wouldn't notice it.
fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
