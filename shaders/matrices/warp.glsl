// Every column slides up or down by a sine of its number; beyond the border the last element stays.
float element(int row, int column) {
    float turns = wavelength == 0.0 ? 0.0 : float(column + 1) / wavelength;
    float at    = clamp(float(row) + amount * sin(6.283185307179586 * turns), 0.0, float(matrix_rows - 1));
    int   above = min(int(at), max(matrix_rows - 2, 0));
    float part  = at - float(above);
    return (1.0 - part) * matrix(above, column) + part * matrix(min(above + 1, matrix_rows - 1), column);
}
