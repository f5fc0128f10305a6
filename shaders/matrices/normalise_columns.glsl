// Every column divided by its sum; a column with the sum 0 becomes zero.
vec2 over_column(int column) {
    float sum = 0.0;
    for (int row = 0; row < matrix_rows; row++)
        sum += matrix(row, column) + plus;
    return vec2(sum);
}

float element(int row, int column) {
    float sum = column_result(column).x;
    return sum == 0.0 ? 0.0 : (matrix(row, column) + plus) / sum;
}
