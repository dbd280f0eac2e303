# frozen_string_literal: true

require_relative "../../benchmark/lib/format"
require_relative "../../benchmark/lib/statistics"

RSpec.describe Bench::Format do
  it "writes the three digits of a number that count" do
    numbers = { 0.12345 => "0.12", 1.2345 => "1.23", 12.345 => "12.3", 99.96 => "100", 123.45 => "123", 3 => "3" }

    expect(numbers.keys.map { |number| described_class.number(number) }).to eq(numbers.values)
  end

  it "writes large numbers whole, with a comma for each thousand" do
    expect([1234.5, 86_300, 12_345_678].map { |number| described_class.number(number) })
      .to eq(%w[1,235 86,300 12,345,678])
  end

  it "writes what is nearly nothing as nothing, and what was not measured as a dash" do
    expect([0, 0.0, 0.004, nil].map { |number| described_class.number(number) }).to eq(%w[0 0 0 –])
  end

  it "writes the lowest and the highest beside the median, unless they are the same" do
    expect(described_class.spread(Bench::Spread.of([20.5, 19.91, 22]))).to eq("20.5 <sub>19.9–22</sub>")
    expect(described_class.spread(Bench::Spread.of([20.5]))).to eq("20.5")
  end
end
