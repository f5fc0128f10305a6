// From [0, 1] to [-1, 1].
float element(int row, int column) {
    return 2.0 * matrix(row, column) - 1.0;
}
