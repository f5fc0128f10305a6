// Every row divided by its sum; a row with the sum 0 becomes zero.
vec2 over_row(int row) {
    float sum = 0.0;
    for (int column = 0; column < matrix_columns; column++)
        sum += matrix(row, column) + plus;
    return vec2(sum);
}

float element(int row, int column) {
    float sum = row_result(row).x;
    return sum == 0.0 ? 0.0 : (matrix(row, column) + plus) / sum;
}
