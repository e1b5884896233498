/* Serves predictions of an exported graph: serve_graph GRAPH RESTORE FILENAME CHECKPOINT RECORDS PREDICTION DATA
 *
 * Takes one request a line on standard input, and answers each with a line of predictions:
 *   feed   puts the next records of the file DATA in place of the tensor RECORDS
 *   read   leaves it to the graph's own reader
 * Says `ready` when the variables are restored. No header of the C API comes with the wheel: what is used of it is
 * declared here, as in tensorflow/c/c_api.h.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct TF_Status TF_Status;
typedef struct TF_Graph TF_Graph;
typedef struct TF_Operation TF_Operation;
typedef struct TF_Session TF_Session;
typedef struct TF_SessionOptions TF_SessionOptions;
typedef struct TF_ImportGraphDefOptions TF_ImportGraphDefOptions;
typedef struct TF_Tensor TF_Tensor;
typedef struct { const void *data; size_t length; void (*free)(void *, size_t); } TF_Buffer;
typedef struct { TF_Operation *oper; int index; } TF_Output;
enum { TF_STRING = 7 };

extern TF_Status *TF_NewStatus(void);
extern int TF_GetCode(const TF_Status *);
extern const char *TF_Message(const TF_Status *);
extern TF_Graph *TF_NewGraph(void);
extern TF_ImportGraphDefOptions *TF_NewImportGraphDefOptions(void);
extern void TF_GraphImportGraphDef(TF_Graph *, const TF_Buffer *, const TF_ImportGraphDefOptions *, TF_Status *);
extern TF_Operation *TF_GraphOperationByName(TF_Graph *, const char *);
extern TF_SessionOptions *TF_NewSessionOptions(void);
extern TF_Session *TF_NewSession(TF_Graph *, const TF_SessionOptions *, TF_Status *);
extern void TF_SessionRun(TF_Session *, const TF_Buffer *, const TF_Output *, TF_Tensor *const *, int, const TF_Output *,
                          TF_Tensor **, int, const TF_Operation *const *, int, TF_Buffer *, TF_Status *);
extern TF_Tensor *TF_AllocateTensor(int, const int64_t *, int, size_t);
extern void *TF_TensorData(const TF_Tensor *);
extern int64_t TF_Dim(const TF_Tensor *, int);
extern void TF_DeleteTensor(TF_Tensor *);
extern size_t TF_StringEncodedSize(size_t);
extern size_t TF_StringEncode(const char *, size_t, char *, size_t, TF_Status *);

enum { ROWS = 2 };

static TF_Status *status;

static void fail(const char *what, const char *why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

static void check(const char *what) {
  if (TF_GetCode(status)) fail(what, TF_Message(status));
}

static TF_Buffer contents(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) fail(path, "cannot be opened");
  fseek(file, 0, SEEK_END);
  size_t length = ftell(file);
  rewind(file);
  char *data = malloc(length);
  if (fread(data, 1, length, file) != length) fail(path, "cannot be read");
  fclose(file);
  return (TF_Buffer){data, length, NULL};
}

/* `name` or `name:index` */
static TF_Output output_of(TF_Graph *graph, const char *name) {
  char operation[256];
  snprintf(operation, sizeof operation, "%s", name);
  char *colon = strchr(operation, ':');
  int index = colon ? atoi(colon + 1) : 0;
  if (colon) *colon = 0;
  TF_Output output = {TF_GraphOperationByName(graph, operation), index};
  if (!output.oper) fail(name, "is not in the graph");
  return output;
}

/* A tensor of `count` strings, as a vector, or as a scalar where `count` is 0: offsets, then length and bytes of each. */
static TF_Tensor *strings(const char *const *data, const size_t *lengths, int64_t count) {
  int64_t values = count ? count : 1;
  size_t size = values * sizeof(uint64_t);
  for (int64_t i = 0; i < values; i++) size += TF_StringEncodedSize(lengths[i]);
  TF_Tensor *tensor = TF_AllocateTensor(TF_STRING, &count, count ? 1 : 0, size);
  uint64_t *offsets = TF_TensorData(tensor);
  char *start = (char *)(offsets + values), *at = start, *end = (char *)offsets + size;
  for (int64_t i = 0; i < values; i++) {
    offsets[i] = at - start;
    at += TF_StringEncode(data[i], lengths[i], at, end - at, status);
    check("a string");
  }
  return tensor;
}

/* The next records of a TFRecord file, from its beginning again at its end: length, checksum, data, checksum. */
static TF_Tensor *next_records(TF_Buffer file, size_t *at) {
  const char *data[ROWS];
  size_t lengths[ROWS];
  for (int row = 0; row < ROWS; row++) {
    if (*at >= file.length) *at = 0;
    const char *record = (const char *)file.data + *at;
    uint64_t length;
    memcpy(&length, record, sizeof length);
    data[row] = record + 12;
    lengths[row] = length;
    *at += length + 16;
  }
  return strings(data, lengths, ROWS);
}

static void restore(TF_Session *session, TF_Graph *graph, char *operation, char *filename, const char *checkpoint) {
  size_t length = strlen(checkpoint);
  TF_Output into = output_of(graph, filename);
  TF_Tensor *name = strings(&checkpoint, &length, 0);
  const TF_Operation *target = output_of(graph, operation).oper;
  TF_SessionRun(session, NULL, &into, &name, 1, NULL, NULL, 0, &target, 1, NULL, status);
  check("cannot restore the variables");
  TF_DeleteTensor(name);
}

static void predict(TF_Session *session, TF_Output prediction, const TF_Output *fed, TF_Tensor *records) {
  TF_Tensor *answer = NULL;
  TF_SessionRun(session, NULL, fed, &records, records ? 1 : 0, &prediction, &answer, 1, NULL, 0, NULL, status);
  check("cannot predict");
  const float *values = TF_TensorData(answer);
  for (int64_t row = 0; row < TF_Dim(answer, 0); row++) printf("%g ", values[row]);
  puts("");
  TF_DeleteTensor(answer);
}

int main(int argc, char **argv) {
  if (argc != 8) fail(argv[0], "wants GRAPH RESTORE FILENAME CHECKPOINT RECORDS PREDICTION DATA");
  setvbuf(stdout, NULL, _IOLBF, 0);
  status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_Buffer definition = contents(argv[1]);
  TF_GraphImportGraphDef(graph, &definition, TF_NewImportGraphDefOptions(), status);
  check("cannot load the graph");
  TF_Session *session = TF_NewSession(graph, TF_NewSessionOptions(), status);
  check("cannot make a session");
  restore(session, graph, argv[2], argv[3], argv[4]);
  TF_Output records = output_of(graph, argv[5]), prediction = output_of(graph, argv[6]);
  TF_Buffer data = contents(argv[7]);
  size_t at = 0;
  puts("ready");
  char request[16];
  while (fgets(request, sizeof request, stdin)) {
    TF_Tensor *fed = strcmp(request, "feed\n") ? NULL : next_records(data, &at);
    predict(session, prediction, &records, fed);
    if (fed) TF_DeleteTensor(fed);
  }
  return 0;
}
