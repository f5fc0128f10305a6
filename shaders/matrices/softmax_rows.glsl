// Every row positive, with the sum 1; the largest value is taken off first, so nothing overflows.
vec2 over_row(int row) {
    float largest = matrix(row, 0);
    for (int column = 1; column < matrix_columns; column++)
        largest = max(largest, matrix(row, column));
    float sum = 0.0;
    for (int column = 0; column < matrix_columns; column++)
        sum += exp(matrix(row, column) - largest);
    return vec2(largest, sum);
}

float element(int row, int column) {
    vec2 found = row_result(row);
    return exp(matrix(row, column) - found.x) / found.y;
}
