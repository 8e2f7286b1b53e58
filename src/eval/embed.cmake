# cmake -DINPUT=harness.py -DOUTPUT=harness.cpp -P embed.cmake: the source that defines
# sandbox_harness(). Bytes are written as numbers, since compilers limit string literals.
file(READ ${INPUT} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUTPUT} "#include \"eval/harness.h\"

namespace fdllm::eval {
namespace {
constexpr unsigned char kText[] = {${bytes} 0x00};
}  // namespace

const char* sandbox_harness() {
  return reinterpret_cast<const char*>(kText);
}

}  // namespace fdllm::eval
")
