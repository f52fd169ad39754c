/* The program: everything is in the library, so that tests reach it too. */
int main(void) { return 0; }
