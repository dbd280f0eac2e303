# frozen_string_literal: true

module Limits
  # Answers questions of many threads together: questions that come while a batch is on its way are the next batch. It
  # has no extra thread and does not wait for more questions, so a single question goes out at once.
  class Batches
    # @yieldparam contents [Array] the questions; one thread at a time
    # @yieldreturn [Array] the answer to each
    def initialize(&answer_all)
      @answer_all = answer_all
      @waiting = []
      @waiting_lock = Mutex.new
      @round_trip = Mutex.new
    end

    # @param content [Object] the question
    # @return [Object] the answer
    # @raise the error of the block, to the thread that ran it; the other threads of its batch then ask again
    def call(content)
      question = Question.new(content)
      @waiting_lock.synchronize { @waiting << question }
      # The first thread that gets the mutex asks for all threads that wait by then.
      @round_trip.synchronize { ask_with_others(question) unless question.answered? }
      question.answer
    end

    private

    def ask_with_others(question)
      batch = @waiting_lock.synchronize { @waiting.slice!(0..) } | [question]
      batch.zip(@answer_all.call(batch.map(&:content))) { |each, answer| each.answer = answer }
    end

    # The question of one thread. Two questions with the same content stay two.
    class Question
      attr_reader :content, :answer

      def initialize(content)
        @content = content
        @answered = false
      end

      def answer=(answer)
        @answer = answer
        @answered = true
      end

      def answered?
        @answered
      end
    end
    private_constant :Question
  end
end
