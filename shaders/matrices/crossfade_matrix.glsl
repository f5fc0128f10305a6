// From one matrix to another.
float element(int row, int column) {
    return (1.0 - amount) * a(row, column) + amount * b(row, column);
}
