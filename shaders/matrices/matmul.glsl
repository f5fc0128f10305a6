// The product of two matrices.
float element(int row, int column) {
    float sum = 0.0;
    for (int k = 0; k < a_columns; k++)
        sum += a(row, k) * b(k, column);
    return sum;
}
