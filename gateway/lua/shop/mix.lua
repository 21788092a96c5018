-- A bijection of 64 bits that leaves no pattern: the finalizer of SplitMix64.

local bit = require "bit"

local bxor, rshift = bit.bxor, bit.rshift

return function(number)
  number = bxor(number, rshift(number, 30)) * 0xbf58476d1ce4e5b9ULL
  number = bxor(number, rshift(number, 27)) * 0x94d049bb133111ebULL
  return bxor(number, rshift(number, 31))
end
