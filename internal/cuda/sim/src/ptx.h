// Runs kernels that package cuda writes as PTX (map.go): the instructions that it uses, no
// others. Registers have to be declared, and of the type that an instruction wants. Functions
// that are called are those of the library of kernels.
#pragma once
#include <cctype>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

namespace ptx {
struct State {
	std::vector<uint64_t> r;  // registers
	std::vector<void *> base; // of parameters
	size_t pc = 0;
	unsigned tid = 0, block = 0;
};
typedef std::function<void(State &)> Step;
struct Kernel {
	std::vector<size_t> sizes; // of parameters
	std::vector<Step> steps;
	size_t registers = 0;
	void run(unsigned grid, unsigned threads, void **params) const {
		State s;
		for (size_t i = 0; i < sizes.size(); i++) s.base.push_back(params[i]);
		for (s.block = 0; s.block < grid; s.block++)
			for (s.tid = 0; s.tid < threads; s.tid++) {
				s.r.assign(registers, 0xffffffffffffffff);
				for (s.pc = 0; s.pc < steps.size();) steps[s.pc++](s);
			}
	}
};

inline std::vector<std::string> words(const std::string &s, const std::string &separators) {
	std::vector<std::string> found;
	size_t at = 0;
	while (at < s.size()) {
		size_t from = s.find_first_not_of(separators, at);
		if (from == std::string::npos) break;
		at = std::min(s.find_first_of(separators, from), s.size());
		found.push_back(s.substr(from, at - from));
	}
	return found;
}

template <class T> T get(uint64_t v) {
	T t;
	memcpy(&t, &v, sizeof t);
	return t;
}
template <class T> uint64_t bits(T t) {
	uint64_t v = 0;
	memcpy(&v, &t, sizeof t);
	return v;
}

#ifdef __aarch64__
typedef __fp16 F16;
#else
typedef _Float16 F16;
#endif

class Parser {
	typedef std::function<void *(const std::string &)> Find;
	std::map<std::string, std::string> types;  // of registers
	std::map<std::string, size_t> places;      // of registers, and of what calls take and return
	std::map<std::string, size_t> params, labels;
	std::vector<std::pair<size_t, std::string>> jumps;
	std::shared_ptr<std::vector<size_t>> targets = std::make_shared<std::vector<size_t>>();
	Kernel k;
	Find find;
	std::string statement;

	[[noreturn]] void fail(const std::string &why) { throw std::runtime_error(why + ": " + statement); }
	static bool fits(const std::string &reg, const std::string &want) { // a register of type reg where an instruction has want
		if (reg == want) return true;
		if (reg == "pred" || want == "pred" || reg.substr(1) != want.substr(1)) return false;
		return want[0] == 'b' || reg[0] == 'b';
	}
	size_t place(const std::string &name) {
		auto it = places.find(name);
		if (it != places.end()) return it->second;
		return places[name] = k.registers++;
	}
	size_t reg(const std::string &name, const std::string &type) {
		auto it = types.find(name);
		if (it == types.end()) fail("register " + name + " is not declared");
		if (!fits(it->second, type)) fail("register " + name + " is " + it->second + ", want " + type);
		return place(name);
	}
	typedef std::function<uint64_t(State &)> Value;
	Value value(const std::string &s, const std::string &type) {
		if (s == "%tid.x") return [](State &s) { return (uint64_t)s.tid; };
		if (s == "%ctaid.x") return [](State &s) { return (uint64_t)s.block; };
		if (s[0] == '%') {
			size_t r = reg(s, type);
			return [r](State &s) { return s.r[r]; };
		}
		uint64_t v;
		if (s.substr(0, 2) == "0f" && type == "f32") v = std::stoull(s.substr(2), nullptr, 16);
		else if (s.substr(0, 2) == "0d" && type == "f64") v = std::stoull(s.substr(2), nullptr, 16);
		else if (isdigit(s[0]) || s[0] == '-') {
			if (type[0] == 'f') fail("a whole number stands for a " + type);
			v = (uint64_t)std::stoll(s);
			if (type.substr(1) == "32") v &= 0xffffffff;
		} else fail("what is " + s);
		return [v](State &) { return v; };
	}
	// The address in [name], [name+8], [%r] or [%r+8]. local is the place of a value between the caller and the called.
	Value address(std::string s, const std::string &space, size_t *local) {
		if (s.size() < 3 || s[0] != '[' || s.back() != ']') fail("no address");
		s = s.substr(1, s.size() - 2);
		size_t plus = s.find('+');
		uint64_t offset = plus == std::string::npos ? 0 : std::stoull(s.substr(plus + 1));
		std::string name = s.substr(0, plus);
		if (name[0] == '%') {
			size_t r = reg(name, "b64");
			return [=](State &s) { return s.r[r] + offset; };
		}
		if (space != "param") fail("no register");
		auto it = params.find(name);
		if (it == params.end()) {
			if (!local || !places.count("." + name)) fail("there is no parameter " + name);
			*local = places["." + name];
			return nullptr;
		}
		size_t i = it->second;
		return [=](State &s) { return (uint64_t)s.base[i] + offset; };
	}
	static size_t size(const std::string &type) { return std::stoul(type.substr(1)) / 8; }

	template <class T> Step arithmetic(const std::string &op, size_t d, Value a, Value b) {
#define TWO(name, e) if (op == name) return [=](State &s) { T x = get<T>(a(s)), y = get<T>(b(s)); s.r[d] = bits<T>(e); }
		TWO("add", x + y);
		TWO("sub", x - y);
		TWO("mul", x * y);
		if constexpr (std::is_floating_point<T>::value) {
			TWO("div", x / y);
		} else {
			TWO("and", x & y);
			TWO("or", x | y);
			TWO("shl", x << y);
			TWO("shr", x >> y);
			TWO("min", x < y ? x : y);
		}
		fail("there is no such arithmetic");
	}
	template <class T> Step compare(const std::string &how, size_t d, Value a, Value b) {
#define COMPARE(name, e) if (how == name) return [=](State &s) { T x = get<T>(a(s)), y = get<T>(b(s)); s.r[d] = (e); }
		COMPARE("eq", x == y);
		COMPARE("ne", x < y || x > y); // of numbers; NaN is not unequal
		COMPARE("lt", x < y);
		COMPARE("le", x <= y);
		COMPARE("gt", x > y);
		COMPARE("ge", x >= y);
		COMPARE("neu", !(x == y));
		COMPARE("nan", x != x || y != y);
		fail("there is no such comparison");
	}

	Step instruction(const std::vector<std::string> &op, std::vector<std::string> a) {
		auto want = [&](size_t n) { if (a.size() != n) fail("it has another number of operands"); };
		std::string name = op[0], type = op.back();
		bool real = type[0] == 'f';
		if (name == "ret") return [](State &s) { s.pc = SIZE_MAX; };
		if (name == "bra") {
			want(1);
			size_t i = targets->size();
			targets->push_back(0);
			jumps.push_back({i, a[0]});
			return [to = targets, i](State &s) { s.pc = (*to)[i]; };
		}
		if (name == "call") { // (y), f, (x)
			want(3);
			size_t y = places.at("." + a[0]), x = places.at("." + a[2]);
			void *f = find(a[1]);
			if (!f) fail("there is no function " + a[1]);
			if (a[1].find("_f64") != std::string::npos) return [=](State &s) { s.r[y] = bits(((double (*)(double))f)(get<double>(s.r[x]))); };
			return [=](State &s) { s.r[y] = bits(((float (*)(float))f)(get<float>(s.r[x]))); };
		}
		if (name == "ld" || name == "st") {
			want(2);
			bool load = name == "ld";
			std::string list = a[load ? 0 : 1];
			size_t local = SIZE_MAX, n = size(type);
			Value at = address(a[load ? 1 : 0], op[1], &local);
			std::vector<size_t> regs;
			for (auto &r : words(list, "{}, ")) regs.push_back(reg(r, type));
			size_t width = op.size() == 4 ? std::stoul(op[2].substr(1)) : 1;
			if (regs.size() != width) fail("it has another number of registers");
			if (!at) {
				size_t r = regs[0];
				if (load) return [=](State &s) { s.r[r] = s.r[local]; };
				return [=](State &s) { s.r[local] = s.r[r]; };
			}
			if (!load && op[1] != "global") fail("parameters are not written");
			return [=](State &s) {
				uint64_t p = at(s);
				if (p % (n * width)) {
					fprintf(stderr, "simulated driver: a kernel takes %zu bytes from a place that is no multiple of them\n", n * width);
					abort();
				}
				for (size_t i = 0; i < width; i++) {
					if (load) {
						s.r[regs[i]] = 0;
						memcpy(&s.r[regs[i]], (void *)(p + n * i), n);
					} else memcpy((void *)(p + n * i), &s.r[regs[i]], n);
				}
			};
		}
		if (name == "mov" && params.count(a[1])) { // a parameter's address
			want(2);
			size_t d = reg(a[0], "b64"), i = params[a[1]];
			return [=](State &s) { s.r[d] = (uint64_t)s.base[i]; };
		}
		if (name == "mov" || name == "cvta") {
			want(2);
			size_t d = reg(a[0], type);
			Value v = value(a[1], type);
			return [=](State &s) { s.r[d] = v(s); };
		}
		if (name == "cvt") {
			want(2);
			std::string to = op[op.size() - 2];
			bool half = to == "f16" || type == "f16";
			size_t d = reg(a[0], to == "f16" ? "b16" : to);
			Value v = value(a[1], type == "f16" ? "b16" : type);
			if (half && type == "f16") return [=](State &s) { s.r[d] = bits((float)get<F16>(v(s))); };
			if (half) return [=](State &s) { s.r[d] = bits((F16)get<float>(v(s))); };
			if (real || to[0] == 'f') fail("there is no such conversion");
			uint64_t mask = size(to) == 8 ? ~0ull : (1ull << 8 * size(to)) - 1, from = size(type) == 8 ? ~0ull : (1ull << 8 * size(type)) - 1;
			return [=](State &s) { s.r[d] = v(s) & from & mask; };
		}
		if (name == "setp") {
			want(3);
			size_t d = reg(a[0], "pred");
			Value x = value(a[1], type), y = value(a[2], type);
			if (type == "f32") return compare<float>(op[1], d, x, y);
			if (type == "f64") return compare<double>(op[1], d, x, y);
			if (type == "u32") return compare<uint32_t>(op[1], d, x, y);
			if (type == "u64") return compare<uint64_t>(op[1], d, x, y);
			fail("there is no such comparison");
		}
		if (name == "selp") {
			want(4);
			size_t d = reg(a[0], type), p = reg(a[3], "pred");
			Value x = value(a[1], type), y = value(a[2], type);
			return [=](State &s) { s.r[d] = s.r[p] ? x(s) : y(s); };
		}
		if (name == "or" && type == "pred") {
			want(3);
			size_t d = reg(a[0], type), x = reg(a[1], type), y = reg(a[2], type);
			return [=](State &s) { s.r[d] = s.r[x] | s.r[y]; };
		}
		if (name == "mul" && op[1] == "wide") {
			want(3);
			size_t d = reg(a[0], "u64");
			Value x = value(a[1], "u32"), y = value(a[2], "u32");
			return [=](State &s) { s.r[d] = (uint64_t)(uint32_t)x(s) * (uint32_t)y(s); };
		}
		if (name == "neg" || name == "abs" || name == "sqrt") {
			want(2);
			size_t d = reg(a[0], type);
			Value x = value(a[1], type);
			auto f = [&](auto zero) -> Step {
				typedef decltype(zero) T;
				if (name == "neg") return [=](State &s) { s.r[d] = bits<T>(-get<T>(x(s))); };
				if (name == "abs") return [=](State &s) { s.r[d] = bits<T>(std::fabs(get<T>(x(s)))); };
				return [=](State &s) { s.r[d] = bits<T>(std::sqrt(get<T>(x(s)))); };
			};
			if (name == "sqrt" && (op.size() != 3 || op[1] != "rn")) fail("it does not say how to round");
			if (type == "f32") return f(0.0f);
			if (type == "f64") return f(0.0);
			fail("there is no such function");
		}
		want(3);
		if (real && (op.size() != 3 || op[1] != "rn")) fail("it does not say how to round");
		if (name == "mul" && !real && op[1] != "lo") fail("it does not say which half");
		size_t d = reg(a[0], type);
		Value x = value(a[1], type), y = value(a[2], name == "shl" || name == "shr" ? "b32" : type);
		if (type == "f32") return arithmetic<float>(name, d, x, y);
		if (type == "f64") return arithmetic<double>(name, d, x, y);
		if (type.substr(1) == "32") return arithmetic<uint32_t>(name, d, x, y);
		if (type.substr(1) == "64") return arithmetic<uint64_t>(name, d, x, y);
		fail("there is no such instruction");
	}
public:
	Parser(Find find) : find(find) {}

	std::shared_ptr<Kernel> parse(const std::string &image, const std::string &entry) {
		size_t at = image.find(".entry " + entry + "(");
		if (at == std::string::npos) throw std::runtime_error("there is no kernel " + entry);
		size_t from = image.find('(', at) + 1, close = image.find(')', from), open = image.find('{', close), end = image.rfind('}');
		for (auto &p : words(image.substr(from, close - from), ",")) {
			auto w = words(p, " \t\n[]");
			params[isdigit(w.back()[0]) ? w[w.size() - 2] : w.back()] = k.sizes.size();
			k.sizes.push_back(isdigit(w.back()[0]) ? std::stoul(w.back()) : 8);
		}
		std::string body = image.substr(open + 1, end - open - 1);
		for (size_t i = 0; i < body.size();) {
			size_t stop = body.find_first_of(";:\n", i);
			if (stop == std::string::npos) break;
			statement = body.substr(i, stop - i);
			i = stop + 1;
			auto w = words(statement, " \t\n");
			if (w.empty() || w[0] == "{" && w.size() == 1 || w[0] == "}") continue;
			if (body[stop] == ':') {
				labels[w[0]] = k.steps.size();
				continue;
			}
			if (body[stop] == '\n') fail("a line without an end");
			if (w[0] == ".param") {
				places["." + w.back()] = k.registers++;
				continue;
			}
			if (w[0] == ".reg") {
				for (auto &r : words(statement.substr(statement.find('%')), ", ")) {
					size_t less = r.find('<');
					if (less == std::string::npos) types[r] = w[1].substr(1);
					else
						for (size_t j = 0; j < std::stoul(r.substr(less + 1)); j++) types[r.substr(0, less) + std::to_string(j)] = w[1].substr(1);
				}
				continue;
			}
			size_t guard = SIZE_MAX;
			if (w[0][0] == '@') {
				guard = reg(w[0].substr(1), "pred");
				w.erase(w.begin());
			}
			size_t n = statement.find(w[0]) + w[0].size();
			std::vector<std::string> operands;
			std::string rest = statement.substr(n), now;
			int depth = 0;
			for (char c : rest + ",") {
				depth += c == '{' ? 1 : c == '}' ? -1 : 0;
				if (c == ',' && !depth) {
					if (!now.empty()) operands.push_back(now);
					now = "";
				} else if (c != ' ' && c != '\t' && c != '(' && c != ')') now += c;
			}
			Step step = instruction(words(w[0], "."), operands);
			if (guard == SIZE_MAX) k.steps.push_back(step);
			else
				k.steps.push_back([=](State &s) {
					if (s.r[guard]) step(s);
				});
		}
		for (auto &j : jumps) {
			if (!labels.count(j.second)) throw std::runtime_error("there is no label " + j.second);
			(*targets)[j.first] = labels[j.second];
		}
		return std::make_shared<Kernel>(k);
	}
};
} // namespace ptx
