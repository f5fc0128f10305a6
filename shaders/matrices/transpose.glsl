// Rows become columns.
float element(int row, int column) {
    return matrix(column, row);
}
